/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PROC_FILE_H
#define PROC_FILE_H

#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

/*
 * name_ops of a file that is read by name_show() and written by name_command(), which gets a line
 * and returns 0 or a negative errno.
 */
#define DEFINE_PROC_FILE(name)                                                                     \
	static int name##_open(struct inode *inode, struct file *file)                             \
	{                                                                                          \
		return single_open(file, name##_show, NULL);                                       \
	}                                                                                          \
                                                                                                   \
	static ssize_t name##_write(struct file *file, const char __user *text, size_t len,        \
				    loff_t *pos)                                                   \
	{                                                                                          \
		char line[32] = "";                                                                \
		int err;                                                                           \
                                                                                                   \
		if (copy_from_user(line, text, min(len, sizeof(line) - 1)))                        \
			return -EFAULT;                                                            \
		err = name##_command(strim(line));                                                 \
		return err ? err : len;                                                            \
	}                                                                                          \
                                                                                                   \
	static const struct proc_ops name##_ops = {                                                \
		.proc_open = name##_open,                                                          \
		.proc_read = seq_read,                                                             \
		.proc_lseek = seq_lseek,                                                           \
		.proc_release = single_release,                                                    \
		.proc_write = name##_write,                                                        \
	}

#endif
