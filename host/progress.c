/* progress.c - see progress.h */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "text.h"

#define BAR_CELLS 24
#define DRAW_MS 100
#define GUESS_MS 2000 /* before that, a guess of the time left jumps about */

static bool bars, lines, drawn;
static char label[64];
static uint64_t last_ms, began_ms; /* vmc_now_ms: drawn last; of the step */

void vmc_progress_setup (const struct vmc_options *options)
{
	bars = options->progress == VMC_PROGRESS_ALWAYS ||
	       (options->progress == VMC_PROGRESS_AUTO && !options->quiet && !options->json && isatty (STDERR_FILENO));
	lines = !bars && options->verbose;
}

/* ", 12 s left" if it goes on as it went so far; empty while that says little. */
static void guess_left (uint64_t done, uint64_t total, char *text, size_t size)
{
	uint64_t took_ms = vmc_now_ms () - began_ms;
	double left_s;

	text[0] = 0;
	if (took_ms < GUESS_MS || done == 0 || done >= total)
		return;
	left_s = (double) took_ms / 1000 * ((double) (total - done) / (double) done);
	if (left_s < 120)
		(void) snprintf (text, size, ", %.0f s left", left_s);
	else if (left_s < 7200)
		(void) snprintf (text, size, ", %.0f min left", left_s / 60);
	else
		(void) snprintf (text, size, ", %.0f h left", left_s / 3600);
}

static void draw (uint64_t done, uint64_t total)
{
	char bar[BAR_CELLS + 1], done_text[16], total_text[16], left[32];
	double part = total > 0 ? (double) done / (double) total : 0;

	if (part > 1)
		part = 1;
	memset (bar, ' ', BAR_CELLS);
	memset (bar, '#', (size_t) (part * BAR_CELLS));
	bar[BAR_CELLS] = 0;
	guess_left (done, total, left, sizeof left);
	if (total > 0)
		(void) fprintf (stderr, "\r\033[K%-24s [%s] %3.0f %%  %s of %s%s", label, bar, part * 100,
				vmc_text_size (done_text, done), vmc_text_size (total_text, total), left);
	else
		(void) fprintf (stderr, "\r\033[K%-24s [%s]", label, bar);
	(void) fflush (stderr);
	drawn = true;
	last_ms = vmc_now_ms ();
}

void vmc_progress_step (const char *target, const char *step)
{
	(void) snprintf (label, sizeof label, "%s: %s", target, step);
	began_ms = vmc_now_ms ();
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
