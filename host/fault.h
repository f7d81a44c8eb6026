/* fault.h - named places between the steps of a run, at which the tests let something go wrong
 *
 * Compiled in only where VMC_FAULT_POINTS is defined: in the vmcompact of the fault tests, never in the one that is installed.
 */
#ifndef VMC_FAULT_H
#define VMC_FAULT_H

#ifdef VMC_FAULT_POINTS
/* Note NAME in the file $VMC_FAULT_LOG. At the first visit of each place that $VMC_FAULT_POINT names ("commit,paused"), run
 * $VMC_FAULT_ACTION, a line of shell with $PID and $POINT set, and wait for its end. */
void vmc_fault_point (const char *name) __attribute__ ((nonnull));

/* The number in the environment variable NAME, or USUAL. */
unsigned vmc_fault_number (const char *name, unsigned usual) __attribute__ ((nonnull));

/* No more faults in this process. */
void vmc_fault_disarm (void);
#else
#define vmc_fault_disarm() ((void) 0)
#define vmc_fault_point(name) ((void) 0)
#define vmc_fault_number(name, usual) (usual)
#endif

#endif
