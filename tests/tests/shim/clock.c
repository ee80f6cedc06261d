/*
 * A clock that can be moved, as an LD_PRELOAD library.
 *
 *   CLOCK_AHEAD   a file of 8 bytes: by how many nanoseconds the clocks are ahead,
 *                 in the machine's own byte order
 *
 * All processes with the same file have the same clocks, wall clock and monotonic
 * one, and whoever writes the file moves them all. A process whose timer is due by
 * that notices within SLICE_MS. A timed wait on a futex is not cut short by a move;
 * it lasts as long as it was told to from its beginning.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The longest that a process sleeps before it looks at its timers again. */
enum { SLICE_MS = 5 };

static const int64_t SECOND = 1000000000;

static const volatile int64_t *ahead;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_epoll_wait)(int, struct epoll_event *, int, int);
static int (*real_epoll_pwait)(int, struct epoll_event *, int, int, const sigset_t *);
static long (*real_syscall)(long, ...);

static void die(const char *what) {
    fprintf(stderr, "clock.c: %s\n", what);
    _exit(99);
}

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) die(name);
    return found;
}

static void begin(void) {
    real_clock_gettime = real("clock_gettime");
    real_epoll_wait = real("epoll_wait");
    real_epoll_pwait = real("epoll_pwait");
    real_syscall = real("syscall");
    const char *path = getenv("CLOCK_AHEAD");
    if (!path) die("CLOCK_AHEAD is needed");
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) die("the file that CLOCK_AHEAD names cannot be opened");
    void *mapped = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) die("the file that CLOCK_AHEAD names cannot be mapped");
    close(file);
    ahead = mapped;
}

/* Before anything else: constructors of other libraries may come first. */
__attribute__((constructor)) static void ready(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin);
}

static void move(struct timespec *time, int64_t by) {
    int64_t nanoseconds = (int64_t)time->tv_nsec + by % SECOND;
    time->tv_sec += by / SECOND + (nanoseconds >= SECOND) - (nanoseconds < 0);
    time->tv_nsec = nanoseconds + (nanoseconds < 0) * SECOND - (nanoseconds >= SECOND) * SECOND;
}

static int is_moved(clockid_t clock) {
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        return 1;
    default:
        return 0;
    }
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    ready();
    int result = real_clock_gettime(clock, time);
    if (result == 0 && is_moved(clock)) move(time, *ahead);
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

static int slice(int timeout) { return timeout > SLICE_MS ? SLICE_MS : timeout; }

/* Woken early, the program finds no event, looks at its timers and waits again. */
int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
    ready();
    return real_epoll_wait(epoll, events, most, slice(timeout));
}

int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout, const sigset_t *mask) {
    ready();
    return real_epoll_pwait(epoll, events, most, slice(timeout), mask);
}

/* Rust's standard library waits for futexes until a time, which it has from the
 * clocks above; the kernel knows its own alone. */
long syscall(long number, ...) {
    ready();
    va_list list;
    va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    struct timespec until;
    if (number == SYS_futex && d && ((int)b & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET) {
        until = *(const struct timespec *)d;
        move(&until, -*ahead);
        if (until.tv_sec < 0) until = (struct timespec){0, 0};
        d = (long)&until;
    }
    return real_syscall(number, a, b, c, d, e, f);
}
