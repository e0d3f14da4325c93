// SPDX-License-Identifier: Apache-2.0
// Makes a cheap system call, getppid, at a set rate or flat out, for a while. Prints how many calls it made.
//
// usage: load CALLS_PER_SECOND SECONDS      (0 calls per second: as fast as it goes)
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	double rate = argc > 1 ? atof(argv[1]) : 0, seconds = argc > 2 ? atof(argv[2]) : 1;
	double begin = now(), elapsed = 0;
	long made = 0;

	while (elapsed < seconds) {
		// In steps of a hundred calls, so that looking at the clock does not count; ahead of the rate it sleeps, as hosts do.
		if (rate == 0 || made < rate * elapsed)
			for (int i = 0; i < 100; i++, made++)
				syscall(SYS_getppid);
		else if (rate <= 500000)
			nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
		elapsed = now() - begin;
	}
	printf("%ld %.6f\n", made, elapsed);
	return 0;
}
