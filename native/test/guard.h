/* Arrays for tests that show who reads or writes outside of them. */
#ifndef SPD4J_GUARD_H
#define SPD4J_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an array touches, in place of its offset from a 64-byte boundary: a page that nobody may access. */
enum { PAGE_BEHIND = -1, PAGE_BEFORE = -2 };

typedef struct guarded {
  unsigned char *base, *data;
  size_t size;   /* of data, in bytes */
  size_t mapped; /* with pages: bytes from base on; else 0 */
  int64_t place;
} guarded;

/*
 * Without pages the array begins offset bytes after a 64-byte boundary, between guard zones. A sanitizer reports every
 * access to a zone, except to the 4 bytes before data that is not aligned to 8 bytes. Without a sanitizer the zones show
 * writes. With pages every access beyond one end is a SIGSEGV, and a zone at the other end shows writes.
 */
guarded guarded_new(size_t size, int64_t offset);
guarded guarded_copy(guarded g);
void guarded_free(guarded g);

/* Whether no zone was written to. */
bool guards_intact(guarded g);

#endif
