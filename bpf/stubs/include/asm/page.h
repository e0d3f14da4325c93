/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#pragma once
/* The recorder gives the machine's own as a -D flag. */
#ifndef PAGE_SIZE
#define PAGE_SIZE 4096UL
#endif
