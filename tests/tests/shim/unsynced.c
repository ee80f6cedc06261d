/*
 * A disk that forgets what was not synced, as an LD_PRELOAD library.
 *
 * The program works on its data folder as ever. Beside it, this keeps a shadow
 * folder that holds at each moment what a power cut at that moment would leave
 * there at worst:
 *
 *   UNSYNCED_ROOT    the data folder
 *   UNSYNCED_SHADOW  the shadow folder; at the start a copy of the data folder
 *
 * What the shadow holds
 *
 *   content     what was written or truncated goes there when fsync or fdatasync
 *               of that very file has returned 0; not a byte of it before.
 *   a new name  is there once the file itself or its folder has been synced; the
 *               former is what Linux file systems do, though POSIX leaves it open.
 *   an old name is gone once the folder has been synced, or once a new file of
 *               that name is there. Until then the old file is.
 *   rename      takes effect when the folder, or the file under its new name, is
 *               synced.
 *   *-shm       never: SQLite maps it into memory and needs nothing of it later.
 *
 * A process that is killed while a sync is being copied leaves a part of it, as a
 * power cut during the sync would.
 *
 * Ways to write that the program has no use for (writev at an offset,
 * copy_file_range, shared mappings of other files) end it with a message, so that
 * nothing escapes unnoticed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAX_FD = 65536, MAX_FILES = 256 };

/* Bytes that were written since the last sync: [from, to). */
struct range {
    off_t from, to;
};

/* A file under the root. One that was removed keeps its entry for as long as it
 * is open; a new file of its name gets another. */
struct file {
    char name[NAME_MAX + 1];        /* relative to the root */
    char durable[NAME_MAX + 1];     /* its name in the shadow, or "" */
    int in_use, unlinked, open_count;
    int size_changed;               /* truncated since the last sync */
    struct range *ranges;
    size_t count, capacity;
};

static char root[PATH_MAX], shadow[PATH_MAX];
static size_t root_length;
static struct file files[MAX_FILES];
static struct file *by_fd[MAX_FD];
static int is_folder[MAX_FD];       /* the root itself, opened to be synced */
/* Names that a folder sync will remove from the shadow. */
static char removals[MAX_FILES][NAME_MAX + 1];
static size_t removal_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_ftruncate)(int, off_t);
static int (*real_fallocate)(int, int, off_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);
static int (*real_unlinkat)(int, const char *, int);
static int (*real_rename)(const char *, const char *);

static void die(const char *what) {
    fprintf(stderr, "unsynced.c: %s\n", what);
    _exit(99);
}

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) die(name);
    return found;
}

static void begin(void) {
    const char *from = getenv("UNSYNCED_ROOT"), *to = getenv("UNSYNCED_SHADOW");
    real_open = real("open64");
    real_openat = real("openat64");
    real_close = real("close");
    real_write = real("write");
    real_pwrite = real("pwrite64");
    real_writev = real("writev");
    real_ftruncate = real("ftruncate64");
    real_fallocate = real("fallocate64");
    real_fsync = real("fsync");
    real_fdatasync = real("fdatasync");
    real_unlink = real("unlink");
    real_unlinkat = real("unlinkat");
    real_rename = real("rename");
    if (!from || !to) die("UNSYNCED_ROOT and UNSYNCED_SHADOW are needed");
    if (!realpath(from, root) || !realpath(to, shadow)) die("the root or the shadow is no folder");
    root_length = strlen(root);
}

/* Before anything else: constructors of other libraries may come first. */
__attribute__((constructor)) static void ready(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin);
}

/* The name of a path that is directly under the root; "" for the root itself;
 * NULL for all others. Deeper folders do not occur and are refused. */
static const char *name_of(const char *path, char buffer[PATH_MAX]) {
    if (!root_length) return NULL;
    if (path[0] != '/') {
        char here[PATH_MAX];
        if (!getcwd(here, sizeof here)) return NULL;
        if (snprintf(buffer, PATH_MAX, "%s/%s", here, strncmp(path, "./", 2) ? path : path + 2) >= PATH_MAX)
            return NULL;
        path = buffer;
    }
    if (strncmp(path, root, root_length)) return NULL;
    if (path[root_length] == 0) return "";
    if (path[root_length] != '/') return NULL;
    path += root_length + 1;
    if (*path == 0 || !strcmp(path, ".")) return "";
    if (strchr(path, '/')) die("a folder within the data folder is not foreseen");
    return path;
}

static int is_ignored(const char *name) {
    size_t length = strlen(name);
    return length > 4 && !strcmp(name + length - 4, "-shm");
}

static struct file *find(const char *name) {
    for (int i = 0; i < MAX_FILES; i++)
        if (files[i].in_use && !files[i].unlinked && !strcmp(files[i].name, name)) return &files[i];
    return NULL;
}

static struct file *add(const char *name, int is_durable) {
    for (int i = 0; i < MAX_FILES; i++) {
        struct file *file = &files[i];
        if (file->in_use) continue;
        free(file->ranges);
        memset(file, 0, sizeof *file);
        file->in_use = 1;
        snprintf(file->name, sizeof file->name, "%s", name);
        if (is_durable) snprintf(file->durable, sizeof file->durable, "%s", name);
        return file;
    }
    die("too many files");
    return NULL;
}

static void mark(struct file *file, off_t from, off_t to) {
    if (from >= to) return;
    if (file->count) {
        struct range *last = &file->ranges[file->count - 1];
        if (from >= last->from && from <= last->to) {
            if (to > last->to) last->to = to;
            return;
        }
    }
    if (file->count == file->capacity) {
        file->capacity = file->capacity ? 2 * file->capacity : 64;
        file->ranges = realloc(file->ranges, file->capacity * sizeof *file->ranges);
        if (!file->ranges) die("out of memory");
    }
    file->ranges[file->count++] = (struct range){from, to};
}

static void in_shadow(const char *name, char path[PATH_MAX]) {
    if (snprintf(path, PATH_MAX, "%s/%s", shadow, name) >= PATH_MAX) die("a path is too long");
}

/* Makes the file's name durable: an empty file takes it, or the file that was
 * synced under an earlier name. */
static void make_name_durable(struct file *file) {
    if (!strcmp(file->durable, file->name)) return;
    char to[PATH_MAX], from[PATH_MAX];
    in_shadow(file->name, to);
    if (file->durable[0]) {
        in_shadow(file->durable, from);
        if (real_rename(from, to)) die("the shadow cannot be written");
    } else {
        in_shadow("new.unsynced", from);
        int fd = real_open(from, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0 || real_close(fd) || real_rename(from, to)) die("the shadow cannot be written");
    }
    for (size_t i = 0; i < removal_count; i++)
        if (!strcmp(removals[i], file->name)) removals[i][0] = 0;
    snprintf(file->durable, sizeof file->durable, "%s", file->name);
}

/* Copies what was written before a sync that has returned. */
static void make_content_durable(int fd, struct file *file) {
    char path[PATH_MAX];
    in_shadow(file->durable, path);
    int to = real_open(path, O_WRONLY | O_CLOEXEC);
    if (to < 0) die("the shadow cannot be written");
    struct stat now;
    if (fstat(fd, &now)) die("a file cannot be looked at");
    static char buffer[1 << 16];
    for (size_t i = 0; i < file->count; i++) {
        off_t at = file->ranges[i].from, end = file->ranges[i].to;
        if (end > now.st_size) end = now.st_size;
        while (at < end) {
            size_t length = end - at < (off_t)sizeof buffer ? (size_t)(end - at) : sizeof buffer;
            ssize_t got = pread(fd, buffer, length, at);
            if (got <= 0 || real_pwrite(to, buffer, (size_t)got, at) != got) die("the shadow cannot be written");
            at += got;
        }
    }
    if (file->size_changed && real_ftruncate(to, now.st_size)) die("the shadow cannot be written");
    file->count = 0;
    file->size_changed = 0;
    real_close(to);
}

static void folder_synced(void) {
    char path[PATH_MAX];
    for (size_t i = 0; i < removal_count; i++) {
        if (!removals[i][0]) continue;
        in_shadow(removals[i], path);
        real_unlink(path);
    }
    removal_count = 0;
    for (int i = 0; i < MAX_FILES; i++)
        if (files[i].in_use && !files[i].unlinked && !is_ignored(files[i].name)) make_name_durable(&files[i]);
}

static void removed(const char *name) {
    struct file *file = find(name);
    /* What is durable under that name stays until the folder is synced. */
    if (removal_count == MAX_FILES) die("too many removals");
    snprintf(removals[removal_count++], NAME_MAX + 1, "%s", file && file->durable[0] ? file->durable : name);
    if (!file) return;
    file->unlinked = 1;
    if (file->open_count == 0) file->in_use = 0;
}

static int opened(int fd, const char *path, int flags, int existed) {
    char buffer[PATH_MAX];
    const char *name = name_of(path, buffer);
    if (!name || is_ignored(name)) return fd;
    if (fd >= MAX_FD) die("too many descriptors");
    if (!*name) {
        is_folder[fd] = 1;
        return fd;
    }
    struct file *file = find(name);
    /* What was there when the program began is in the shadow too. */
    if (!file) file = add(name, existed);
    file->open_count++;
    by_fd[fd] = file;
    if (flags & O_TRUNC) {
        file->count = 0;
        file->size_changed = 1;
    }
    return fd;
}

static int is_there(int folder, const char *path) {
    return faccessat(folder, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int open_any(const char *path, int flags, mode_t mode) {
    ready();
    int before = errno;
    pthread_mutex_lock(&lock);
    int existed = is_there(AT_FDCWD, path);
    errno = before;
    int fd = real_open(path, flags, mode);
    if (fd >= 0) opened(fd, path, flags, existed);
    pthread_mutex_unlock(&lock);
    return fd;
}

static mode_t mode_of(int flags, va_list list) {
    return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(list, int) : 0;
}

int open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return open_any(path, flags, mode);
}

static int openat_any(int folder, const char *path, int flags, mode_t mode) {
    ready();
    if (folder == AT_FDCWD || path[0] == '/') return open_any(path, flags, mode);
    if (folder >= 0 && folder < MAX_FD && is_folder[folder] && (flags & (O_WRONLY | O_RDWR | O_CREAT)))
        die("openat within the data folder is not foreseen");
    return real_openat(folder, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return openat_any(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return openat_any(folder, path, flags, mode);
}

int creat(const char *path, mode_t mode) { return open_any(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open_any(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int fd) {
    ready();
    if (fd >= 0 && fd < MAX_FD && (by_fd[fd] || is_folder[fd])) {
        pthread_mutex_lock(&lock);
        struct file *file = by_fd[fd];
        by_fd[fd] = NULL;
        is_folder[fd] = 0;
        if (file && --file->open_count == 0 && file->unlinked) file->in_use = 0;
        int result = real_close(fd);
        pthread_mutex_unlock(&lock);
        return result;
    }
    return real_close(fd);
}

static struct file *tracked(int fd) { return fd >= 0 && fd < MAX_FD ? by_fd[fd] : NULL; }

/* The lock is held over the real call, so that a sync never takes for durable
 * what is written while it runs. */
ssize_t write(int fd, const void *data, size_t length) {
    ready();
    struct file *file = tracked(fd);
    if (!file) return real_write(fd, data, length);
    pthread_mutex_lock(&lock);
    off_t at = fcntl(fd, F_GETFL) & O_APPEND ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
    ssize_t written = real_write(fd, data, length);
    if (written > 0) mark(file, at, at + written);
    pthread_mutex_unlock(&lock);
    return written;
}

static ssize_t pwrite_any(int fd, const void *data, size_t length, off_t at) {
    ready();
    struct file *file = tracked(fd);
    if (!file) return real_pwrite(fd, data, length, at);
    pthread_mutex_lock(&lock);
    ssize_t written = real_pwrite(fd, data, length, at);
    if (written > 0) mark(file, at, at + written);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return pwrite_any(fd, data, length, at); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) { return pwrite_any(fd, data, length, at); }

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    ready();
    if (tracked(fd)) die("writev into the data folder is not foreseen");
    return real_writev(fd, pieces, count);
}

static int ftruncate_any(int fd, off_t length) {
    ready();
    struct file *file = tracked(fd);
    if (!file) return real_ftruncate(fd, length);
    pthread_mutex_lock(&lock);
    int result = real_ftruncate(fd, length);
    if (result == 0) file->size_changed = 1;
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t length) { return ftruncate_any(fd, length); }
int ftruncate64(int fd, off64_t length) { return ftruncate_any(fd, length); }

static int fallocate_any(int fd, int mode, off_t at, off_t length) {
    ready();
    struct file *file = tracked(fd);
    if (!file) return real_fallocate(fd, mode, at, length);
    pthread_mutex_lock(&lock);
    int result = real_fallocate(fd, mode, at, length);
    if (result == 0) file->size_changed = 1;
    pthread_mutex_unlock(&lock);
    return result;
}

int fallocate(int fd, int mode, off_t at, off_t length) { return fallocate_any(fd, mode, at, length); }
int fallocate64(int fd, int mode, off64_t at, off64_t length) { return fallocate_any(fd, mode, at, length); }

static int sync_any(int fd, int only_data) {
    ready();
    int (*real_sync)(int) = only_data ? real_fdatasync : real_fsync;
    struct file *file = tracked(fd);
    if (!file && !(fd >= 0 && fd < MAX_FD && is_folder[fd])) return real_sync(fd);
    pthread_mutex_lock(&lock);
    int result = real_sync(fd);
    if (result == 0 && !file) folder_synced();
    if (result == 0 && file && !file->unlinked) {
        make_name_durable(file);
        make_content_durable(fd, file);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return sync_any(fd, 0); }
int fdatasync(int fd) { return sync_any(fd, 1); }

static int unlink_at(int folder, const char *path, int flags) {
    ready();
    char buffer[PATH_MAX];
    const char *name = folder == AT_FDCWD || path[0] == '/' ? name_of(path, buffer) : NULL;
    pthread_mutex_lock(&lock);
    int result = real_unlinkat(folder, path, flags);
    if (result == 0 && name && *name && !is_ignored(name)) removed(name);
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path) { return unlink_at(AT_FDCWD, path, 0); }
int unlinkat(int folder, const char *path, int flags) { return unlink_at(folder, path, flags); }

int rename(const char *from, const char *to) {
    ready();
    char buffer[PATH_MAX], other[PATH_MAX];
    const char *old_name = name_of(from, buffer), *new_name = name_of(to, other);
    if (!old_name && !new_name) return real_rename(from, to);
    if (!old_name || !new_name) die("renaming into or out of the data folder is not foreseen");
    pthread_mutex_lock(&lock);
    int existed = is_there(AT_FDCWD, from);
    int result = real_rename(from, to);
    if (result == 0) {
        struct file *file = find(old_name), *replaced = find(new_name);
        if (replaced) {
            replaced->unlinked = 1;
            if (replaced->open_count == 0) replaced->in_use = 0;
        }
        if (!file) file = add(old_name, existed);
        snprintf(file->name, sizeof file->name, "%s", new_name);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* What would slip by. */
ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t at) {
    static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
    if (tracked(fd)) die("pwritev into the data folder is not foreseen");
    if (!real_pwritev) real_pwritev = real("pwritev");
    return real_pwritev(fd, pieces, count, at);
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *to_at, size_t length, unsigned flags) {
    static ssize_t (*real_copy)(int, off64_t *, int, off64_t *, size_t, unsigned);
    if (tracked(to)) die("copy_file_range into the data folder is not foreseen");
    if (!real_copy) real_copy = real("copy_file_range");
    return real_copy(from, at, to, to_at, length, flags);
}

static void *mmap_any(void *at, size_t length, int protection, int flags, int fd, off_t from) {
    static void *(*real_mmap)(void *, size_t, int, int, int, off_t);
    if (tracked(fd) && (flags & MAP_SHARED) && (protection & PROT_WRITE))
        die("a writable mapping of the data folder is not foreseen");
    if (!real_mmap) real_mmap = real("mmap64");
    return real_mmap(at, length, protection, flags, fd, from);
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t from) {
    return mmap_any(at, length, protection, flags, fd, from);
}
void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t from) {
    return mmap_any(at, length, protection, flags, fd, from);
}
