/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Empty on purpose: BCC includes it, the tracers need nothing of it. */
