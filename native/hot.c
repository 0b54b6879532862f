/* What nearly every command runs through, as one translation unit: a compiler sees through the borders of these files, which is worth
 * a tenth of the time of a command. Each of them still compiles by itself, and keeps nothing that another may use without a header;
 * what runs seldom is compiled apart.
 *
 * CORE_CODEC names another codec in place of the wire format's: a bench has one, to measure a core without it. */

#include "book.c"
#include "book_levels.c"
#include "book_pool.c"
#ifdef CORE_CODEC
#include CORE_CODEC
#else
#include "codec_read.c"
#include "codec_shape.c"
#include "codec_write.c"
#endif
#include "core.c"
#include "core_ahead.c"
#include "core_amend.c"
#include "core_batch.c"
#include "core_cascade.c"
#include "core_fees.c"
#include "core_guards.c"
#include "core_match.c"
#include "core_more.c"
#include "core_place.c"
#include "core_say.c"
#include "names.c"
#include "risk.c"
#include "sessions.c"
