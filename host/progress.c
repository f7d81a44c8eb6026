/* progress.c - see progress.h */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "text.h"

#define BAR_CELLS 24
#define DRAW_MS 100

static bool bars, lines, drawn;
static char label[64];
static uint64_t last_ms;

void vmc_progress_setup (const struct vmc_options *options)
{
	bars = options->progress == VMC_PROGRESS_ALWAYS ||
	       (options->progress == VMC_PROGRESS_AUTO && !options->quiet && !options->json && isatty (STDERR_FILENO));
	lines = !bars && options->verbose;
}

static void draw (uint64_t done, uint64_t total)
{
	char bar[BAR_CELLS + 1], done_text[16], total_text[16];
	double part = total > 0 ? (double) done / (double) total : 0;

	if (part > 1)
		part = 1;
	memset (bar, ' ', BAR_CELLS);
	memset (bar, '#', (size_t) (part * BAR_CELLS));
	bar[BAR_CELLS] = 0;
	if (total > 0)
		(void) fprintf (stderr, "\r\033[K%-24s [%s] %3.0f %%  %s of %s", label, bar, part * 100,
				vmc_text_size (done_text, done), vmc_text_size (total_text, total));
	else
		(void) fprintf (stderr, "\r\033[K%-24s [%s]", label, bar);
	(void) fflush (stderr);
	drawn = true;
	last_ms = vmc_now_ms ();
}

void vmc_progress_step (const char *target, const char *step)
{
	(void) snprintf (label, sizeof label, "%s: %s", target, step);
	if (lines)
		(void) fprintf (stderr, "vmcompact: %s\n", label);
	if (bars)
		draw (0, 0);
}

void vmc_progress_show (uint64_t done_bytes, uint64_t total_bytes)
{
	if (bars && vmc_now_ms () - last_ms >= DRAW_MS)
		draw (done_bytes, total_bytes);
}

void vmc_progress_end (void)
{
	if (drawn)
		(void) fputs ("\r\033[K", stderr);
	drawn = false;
}
