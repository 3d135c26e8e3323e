#include <creactor/internal/process.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

void cre_process_keep_memory(void) {
#ifdef __GLIBC__
    /* By default malloc may map a block of a few hundred KiB, with a page fault for each page, for every
     * message.
     */
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
#endif
}
