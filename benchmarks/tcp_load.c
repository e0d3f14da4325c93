/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loads of the tcp benchmark.
 *
 *   tcp_load serve                accept and close for ever; prints the port that it listens on
 *   tcp_load connect PORT COUNT   connect COUNT times; prints the process id, then of each connect the local port, begin and end
 *   tcp_load request PORT COUNT   COUNT HTTP requests, each with a connection of its own; prints the ns of one
 *   tcp_load getppid COUNT        prints the ns of a system call that has nothing to do with TCP
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time); /* which recordings have, too */
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int new_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		fail("socket");
	return fd;
}

static struct sockaddr_in loopback(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return address;
}

/* Close without TIME_WAIT, or the ports would run out. */
static void drop(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static int serve(void)
{
	struct sockaddr_in address = loopback(0);
	socklen_t size = sizeof(address);
	int listener = new_socket(), fd;

	if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096) || getsockname(listener, (struct sockaddr *)&address, &size))
		fail("listen");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	while ((fd = accept(listener, NULL, NULL)) >= 0)
		close(fd);
	fail("accept");
	return 1;
}

static int connect_often(int port, int count)
{
	struct sockaddr_in to = loopback(port), from;
	long long *begin = calloc(count, sizeof(*begin)), *end = calloc(count, sizeof(*end));
	int *ports = calloc(count, sizeof(*ports));

	for (int i = 0; i < count; i++) {
		socklen_t size = sizeof(from);
		int fd = new_socket();

		begin[i] = now_ns();
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
			fail("connect");
		end[i] = now_ns();
		getsockname(fd, (struct sockaddr *)&from, &size);
		ports[i] = ntohs(from.sin_port);
		drop(fd);
	}
	printf("%d\n", getpid());
	for (int i = 0; i < count; i++)
		printf("%d %lld %lld\n", ports[i], begin[i], end[i]);
	return 0;
}

static int request_often(int port, int count)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	struct sockaddr_in to = loopback(port);
	char answer[4096];
	long long begin = now_ns();

	for (int i = 0; i < count; i++) {
		int fd = new_socket();

		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) || write(fd, request, sizeof(request) - 1) < 0)
			fail("request");
		if (read(fd, answer, sizeof(answer)) <= 0)
			fail("answer");
		while (read(fd, answer, sizeof(answer)) > 0)
			;
		close(fd);
	}
	printf("%lld\n", (now_ns() - begin) / count);
	return 0;
}

static int call_often(int count)
{
	long long begin = now_ns();

	for (int i = 0; i < count; i++)
		syscall(SYS_getppid);
	printf("%.2f\n", (double)(now_ns() - begin) / count);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "serve"))
		return serve();
	if (argc == 4 && !strcmp(argv[1], "connect"))
		return connect_often(atoi(argv[2]), atoi(argv[3]));
	if (argc == 4 && !strcmp(argv[1], "request"))
		return request_often(atoi(argv[2]), atoi(argv[3]));
	if (argc == 3 && !strcmp(argv[1], "getppid"))
		return call_often(atoi(argv[2]));
	fprintf(stderr, "usage: tcp_load serve | connect PORT COUNT | request PORT COUNT | getppid COUNT\n");
	return 2;
}
