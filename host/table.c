/* table.c - see table.h */
#include "table.h"

#include <langinfo.h>
#include <stdio.h>
#include <string.h>

#include "report.h"
#include "text.h"

void vmc_table_bytes (uint64_t bytes, bool about)
{
	char text[16], padded[20];

	if (bytes == VMC_UNKNOWN)
		(void) snprintf (padded, sizeof padded, "-");
	else
		(void) snprintf (padded, sizeof padded, "%s%s", about ? "~" : "", vmc_text_size (text, bytes));
	(void) printf (" %11s", padded);
}

const char *const *vmc_table_marks (void)
{
	static const char *const unicode[] = {"\u2588", "\u2592", "\u00b7"}, *const ascii[] = {"#", "-", "."};

	return strcmp (nl_langinfo (CODESET), "UTF-8") == 0 ? unicode : ascii;
}
