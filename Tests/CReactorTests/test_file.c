/* Files beneath a folder: paths and links that lead out of it, with and without the system's help. */
#include <creactor/file.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "calls.h"
#include "files/openat2.h"
#include "test.h"

static char root[64];

static void make(const char *name, const char *text) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", root, name);
    int at = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(at >= 0);
    REQUIRE(write(at, text, strlen(text)) == (ssize_t)strlen(text));
    close(at);
}

static void make_link(const char *name, const char *target) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", root, name);
    REQUIRE(symlink(target, path) == 0);
}

static void make_folder(const char *name) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", root, name);
    REQUIRE(mkdir(path, 0700) == 0);
}

static void set_up(void) {
    strcpy(root, "/tmp/creactor-file-XXXXXX");
    REQUIRE(mkdtemp(root) != NULL);
    char absolute[200], pipe[200];
    make_folder("public");
    make_folder("public/inner");
    make("secret", "secret");
    make("public/a.txt", "hello");
    make("public/inner/b.txt", "inner");
    make_link("public/inside", "inner/b.txt");
    make_link("public/folder", "inner");
    make_link("public/up", "../secret");
    make_link("public/around", "../public/a.txt"); /* leaves the folder, and comes back */
    snprintf(absolute, sizeof absolute, "%s/public/a.txt", root);
    make_link("public/absolute", absolute);
    make_link("public/loop", "loop");
    make_link("public/outside", "..");
    make_link("entry", "public");
    snprintf(pipe, sizeof pipe, "%s/public/pipe", root);
    REQUIRE(mkfifo(pipe, 0600) == 0);
}

static void tear_down(void) {
    char command[200];
    snprintf(command, sizeof command, "rm -r %s", root);
    REQUIRE(system(command) == 0);
}

/* The size, or the error; -1 for a folder. */
static int open_as(const char *folder, const char *path, cre_symlinks symlinks) {
    char whole[200];
    cre_file_info info;
    snprintf(whole, sizeof whole, "%s/%s", root, folder);
    int descriptor = cre_file_open(whole, path, symlinks, &info);
    if (descriptor < 0) return descriptor;
    close(descriptor);
    return info.is_folder ? -1 : (int)info.size;
}

static const struct {
    const char *path;
    int beneath, refused, followed;
} cases[] = {
    { "a.txt", 5, 5, 5 },
    { "inner/b.txt", 5, 5, 5 },
    { "./inner/./b.txt", 5, 5, 5 },
    { "inner", -1, -1, -1 },
    { ".", -1, -1, -1 },
    { "missing", -ENOENT, -ENOENT, -ENOENT },
    { "a.txt/b", -ENOTDIR, -ENOTDIR, -ENOTDIR },
    { "", CRE_EINVALID, CRE_EINVALID, CRE_EINVALID },
    { "/etc/passwd", CRE_EINVALID, CRE_EINVALID, CRE_EINVALID },
    { "../secret", -EXDEV, -EXDEV, 6 },
    { "inner/../../secret", -EXDEV, -EXDEV, 6 },
    { "inside", 5, -ELOOP, 5 },
    { "folder/b.txt", 5, -ELOOP, 5 },
    { "up", -EXDEV, -ELOOP, 6 },
    { "around", -EXDEV, -ELOOP, 5 },
    { "absolute", -EXDEV, -ELOOP, 5 },
    { "outside/secret", -EXDEV, -ELOOP, 6 },
    { "loop", -ELOOP, -ELOOP, -ELOOP },
    { "pipe", CRE_EINVALID, CRE_EINVALID, CRE_EINVALID },
};

TEST(paths_and_links) {
    set_up();
    int before = open("/dev/null", O_RDONLY);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = cases[i].path;
        int results[] = { open_as("public", path, CRE_SYMLINKS_BENEATH),
                          open_as("public", path, CRE_SYMLINKS_REFUSED),
                          open_as("public", path, CRE_SYMLINKS_FOLLOWED) };
        const int wanted[] = { cases[i].beneath, cases[i].refused, cases[i].followed };
        for (int rule = 0; rule < 3; rule++)
            if (results[rule] != wanted[rule])
                TEST_FAIL("%s with rule %d: %d instead of %d", path, rule, results[rule], wanted[rule]);
    }
    /* The folder itself may be a link, but must be a folder. */
    CHECK_EQ(open_as("entry", "a.txt", CRE_SYMLINKS_REFUSED), 5);
    CHECK_EQ(open_as("secret", "a.txt", CRE_SYMLINKS_BENEATH), -ENOTDIR);
    CHECK_EQ(open_as("nowhere", "a.txt", CRE_SYMLINKS_FOLLOWED), -ENOENT);
    int after = open("/dev/null", O_RDONLY);
    CHECK_EQ(after, before + 1); /* nothing stayed open */
    close(before);
    close(after);
    tear_down();
}

/* A system that does not know the call, and a sandbox that forbids it: no links, and everything else as
 * above. */
TEST(without_openat2) {
    set_up();
    int before = open("/dev/null", O_RDONLY);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int error = 0; error < 2; error++) {
            calls_enter();
            calls_fail(CALL_cre__openat2, 1, error ? EPERM : ENOSYS);
            int result = open_as("public", cases[i].path, CRE_SYMLINKS_BENEATH);
            calls_leave();
            bool tried = calls_heal();
            int wanted = cases[i].refused;
            CHECK_EQ(tried, wanted != CRE_EINVALID || !strcmp(cases[i].path, "pipe"));
            if (!strncmp(cases[i].path, "folder/", 7) || !strncmp(cases[i].path, "outside/", 8))
                wanted = -ENOTDIR;
            if (result != wanted) TEST_FAIL("%s: %d instead of %d", cases[i].path, result, wanted);
        }
    }
    static char lengthy[400];
    memset(lengthy, 'x', 300);
    calls_enter();
    calls_fail(CALL_cre__openat2, 1, ENOSYS);
    CHECK_EQ(open_as("public", lengthy, CRE_SYMLINKS_BENEATH), -ENAMETOOLONG);
    calls_leave();
    calls_heal();
    int after = open("/dev/null", O_RDONLY);
    CHECK_EQ(after, before + 1);
    close(before);
    close(after);
    tear_down();
}

TEST(a_rename_meanwhile_is_tried_again) {
    set_up();
    calls_enter();
    calls_fail(CALL_cre__openat2, 1, EAGAIN);
    CHECK_EQ(open_as("public", "a.txt", CRE_SYMLINKS_BENEATH), 5);
    calls_fail(CALL_fstat, 1, EIO);
    CHECK_EQ(open_as("public", "a.txt", CRE_SYMLINKS_BENEATH), -EIO);
    calls_leave();
    calls_heal();
    tear_down();
}

/* As open_as. */
static int open_path(const char *name) {
    char path[200];
    cre_file_info info;
    snprintf(path, sizeof path, "%s/%s", root, name);
    int descriptor = cre_file_open_path(path, &info);
    if (descriptor < 0) return descriptor;
    close(descriptor);
    CHECK(!info.is_folder);
    return (int)info.size;
}

TEST(paths_of_the_application) {
    set_up();
    int before = open("/dev/null", O_RDONLY);
    static const struct {
        const char *path;
        int result, status;
    } paths[] = {
        { "public/a.txt", 5, 0 },       { "public/up", 6, 0 },
        { "public/absolute", 5, 0 },    { "public", -EISDIR, 404 },
        { "nowhere", -ENOENT, 404 },    { "secret/a", -ENOTDIR, 404 },
        { "public/loop", -ELOOP, 404 }, { "public/pipe", CRE_EINVALID, 500 },
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        CHECK_EQ(open_path(paths[i].path), paths[i].result);
        if (paths[i].result < 0) CHECK_EQ(cre_file_status(paths[i].result), paths[i].status);
    }
    CHECK_EQ(cre_file_status(-EACCES), 500);
    calls_enter();
    calls_fail(CALL_fstat, 1, EIO);
    CHECK_EQ(open_path("secret"), -EIO);
    calls_leave();
    calls_heal();
    int after = open("/dev/null", O_RDONLY);
    CHECK_EQ(after, before + 1);
    close(before);
    close(after);
    tear_down();
}

static void check_etag(cre_file_info info, bool weak, const char *wanted) {
    char tag[CRE_FILE_ETAG_MAX + 1];
    size_t length = cre_file_etag(tag, &info, weak);
    REQUIRE(length <= CRE_FILE_ETAG_MAX);
    tag[length] = 0;
    CHECK_STR(tag, wanted);
}

TEST(entity_tags) {
    check_etag((cre_file_info){ 0 }, false, "\"0-0-0\"");
    check_etag((cre_file_info){ .inode = 255, .size = 16, .modified = 1, .modified_ns = 1 }, true,
               "W/\"3b9aca01-10-ff\"");
    check_etag((cre_file_info){ .inode = UINT64_MAX, .size = UINT64_MAX, .modified = -1 }, true,
               "W/\"ffffffffc4653600-ffffffffffffffff-ffffffffffffffff\"");
    cre_file_info one = { .device = 1, .inode = 2, .size = 3, .modified = 4, .modified_ns = 5 }, other = one;
    CHECK(cre_file_unchanged(&one, &other));
    other.is_folder = true;
    CHECK(cre_file_unchanged(&one, &other)); /* it has another inode then */
#define CHANGES(member) other = one, other.member++, !cre_file_unchanged(&one, &other)
    CHECK((CHANGES(device)));
    CHECK((CHANGES(inode)));
    CHECK((CHANGES(size)));
    CHECK((CHANGES(modified)));
    CHECK((CHANGES(modified_ns)));
}

TEST_MAIN()
