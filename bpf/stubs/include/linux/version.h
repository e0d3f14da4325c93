/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#pragma once
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))
/* Features are detected, versions never compared. */
#define LINUX_VERSION_CODE 0
