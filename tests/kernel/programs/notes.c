/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The notes of bpf/common.h by themselves: a frame of 16 bytes says what a note is about, and what it says of that. Loaded as XDP programs, and attached to nothing. */
#include "common.h"

static __always_inline bool read_frame(struct xdp_md *ctx, u64 *about, u64 *what)
{
	u64 *words = (u64 *)(long)ctx->data;

	if ((void *)(words + 2) > (void *)(long)ctx->data_end)
		return false;
	*about = words[0];
	*what = words[1];
	return true;
}

int leave(struct xdp_md *ctx)
{
	u64 about, what;

	if (read_frame(ctx, &about, &what))
		leave_note(STATE, about, what);
	return 0;
}

int take(struct xdp_md *ctx)
{
	u64 about, what;

	return read_frame(ctx, &about, &what) && take_note(STATE, about, what);
}
