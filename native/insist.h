/* An assert that brings a caller back to where it came in, instead of ending the process.
 *
 * Whoever includes this has its own `assert`, always on. Where a rule does not hold and somebody stands at an entry
 * (insist_enter), the call goes back there and knows which rule it was; what it worked on is spoilt and must not be used again. Without
 * an entry, as in fuzzers and in programs that use the book alone, it is the assert of the C library: a line, and abort.
 *
 * An entry costs a setjmp, some ten nanoseconds, and a rule that holds what it always did: one comparison. The entry of a thread is the
 * one thing here that is not handed over by argument; it is set only while a call is under way. */

#ifndef BOURSE_INSIST_H
#define BOURSE_INSIST_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

/* Where to go back to, and what was broken. */
struct insist_entry {
    jmp_buf back;
    struct insist_entry *outer;
    const char *rule;
    const char *file;
    int line;
};

/* One for all files that include this. */
__attribute__((weak, visibility("hidden"))) _Thread_local struct insist_entry *insist_here;

/* Stand at an entry, until insist_leave. Then, at once: `if (setjmp(entry.back) != 0)`, which is where a broken rule comes out. */
static inline void insist_enter(struct insist_entry *entry) {
    entry->outer = insist_here;
    insist_here = entry;
}

static inline void insist_leave(const struct insist_entry *entry) { insist_here = entry->outer; }

__attribute__((cold, noinline, noreturn, unused)) static void insist_broken(const char *rule, const char *file, int line) {
    struct insist_entry *entry = insist_here;
    if (!entry) {
        fprintf(stderr, "%s:%d: broken: %s\n", file, line, rule);
        abort();
    }
    entry->rule = rule;
    entry->file = file;
    entry->line = line;
    longjmp(entry->back, 1);
}

#undef assert
#define assert(rule) ((rule) ? (void)0 : insist_broken(#rule, __FILE__, __LINE__))

#endif
