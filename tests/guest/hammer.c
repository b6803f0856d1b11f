// SPDX-License-Identifier: BSD-2-Clause
/*
 * Call uname(2) on all CPUs at once until SIGTERM, and check each answer: it must be, as a whole,
 * the original one or that of the demo's patch. Prints the counts at the end.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PATCHED "live patched by Suture"

static struct utsname original;
static atomic_bool stop;
static atomic_ulong calls, patched, wrong;

static void on_term(int signal)
{
	(void)signal;
	stop = true;
}

static void *call(void *arg)
{
	unsigned long n = 0, n_patched = 0, n_wrong = 0;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((size_t)arg, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	while (!stop) {
		struct utsname name;

		memset(&name, 0xa5, sizeof(name));
		if (uname(&name) < 0) {
			n_wrong++;
		} else if (!strcmp(name.version, PATCHED)) {
			strcpy(name.version, original.version);
			n_patched++;
		}
		if (strcmp(name.version, original.version) ||
		    strcmp(name.release, original.release) ||
		    strcmp(name.sysname, original.sysname))
			n_wrong++;
		n++;
	}
	calls += n;
	patched += n_patched;
	wrong += n_wrong;
	return NULL;
}

int main(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t *threads = calloc(cpus, sizeof(*threads));
	struct sigaction action = {.sa_handler = on_term};

	if (!threads || uname(&original) < 0) {
		perror("hammer");
		return 1;
	}
	sigaction(SIGTERM, &action, NULL);
	for (long i = 0; i < cpus; i++) {
		if (pthread_create(&threads[i], NULL, call, (void *)i)) {
			perror("pthread_create");
			return 1;
		}
	}
	for (long i = 0; i < cpus; i++)
		pthread_join(threads[i], NULL);
	printf("calls %lu patched %lu wrong %lu\n", (unsigned long)calls, (unsigned long)patched,
	       (unsigned long)wrong);
	free(threads);
	return wrong ? 1 : 0;
}
