/* SPDX-License-Identifier: Apache-2.0 */
/* Checked numbers from the command line: one clear line and exit 2 instead of a silent zero. */
#ifndef WIRE_ARGUMENTS_H
#define WIRE_ARGUMENTS_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((format(printf, 1, 2), noreturn)) static inline void usage_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}

static inline long long whole_number(const char *option, const char *text, long long low, long long high)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end || value < low || value > high)
		usage_error("%s: '%s' is not a whole number from %lld to %lld", option, text, low, high);
	return value;
}

static inline double real_number(const char *option, const char *text, double low, double high)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	if (errno || end == text || *end || !(value >= low && value <= high))
		usage_error("%s: '%s' is not a number from %g to %g", option, text, low, high);
	return value;
}

#endif
