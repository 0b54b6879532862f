/* The trading core as Python sees it: pure declarations, read by CFFI as they stand.
 *
 * A core is a deterministic state machine over command records. It has no clock, no I/O, no callbacks and no globals; one
 * thread may use a core at a time. Buffers belong to the caller and are never kept. Functions return 0, or a negative
 * CORE_ code; a core that returned CORE_FOREIGN, CORE_UNKNOWN_RULES or CORE_NO_ROOM from core_apply at part 0 is unchanged. One
 * that returned CORE_FAILED is spoilt: nothing but core_failed and core_free may be asked of it. */

typedef struct core core;

/* Results. */
#define CORE_OK 0
#define CORE_FOREIGN -1        /* bytes that no check would have let through, another shard's, or an offset or a part out of turn */
#define CORE_UNKNOWN_RULES -2  /* a UseRules with a version this core does not know */
#define CORE_NO_ROOM -3        /* memory that the log demands cannot be had */
#define CORE_SMALL_BUFFER -4   /* a buffer below the size stated for it */
#define CORE_BROKEN -5         /* a snapshot that does not hold together */
#define CORE_FAILED -6         /* an assertion of the core's own did not hold; core_failed says which */

/* Sizes a caller may rely on. */
#define CORE_PART_BYTES 524288     /* an event part is never larger */
#define CORE_ANSWER_BYTES 1048576  /* room for the answers of one part */
#define CORE_MAX_BATCHES 4096      /* batches in a command record */
#define CORE_MAX_COMMANDS 4096     /* commands in a batch */

/* What core_check found in a batch. */
struct core_batch {
    uint64_t session;
    uint64_t number;
    uint32_t source;
    uint32_t commands;
    int32_t only_cancels;  /* 1: cancels and kills, nothing else, which may use the room kept for them */
};

/* The answer of one batch, as far as this part made it: answers[start .. start + length) is an encoded SubmitResponse, or a
 * piece of one: pieces of the same batch, concatenated in order, are the whole. */
struct core_answer {
    uint32_t batch;   /* index in the command record */
    uint32_t start;
    uint32_t length;
    int32_t done;     /* 1: no more pieces follow */
    int32_t status;   /* BatchStatus */
};

/* Where core_apply puts what one part made. */
struct core_part {
    uint8_t *events;              /* CORE_PART_BYTES: an encoded EventRecord */
    uint32_t events_length;
    uint8_t *answers;             /* CORE_ANSWER_BYTES */
    uint32_t answers_length;
    struct core_answer *index;    /* CORE_MAX_BATCHES */
    uint32_t index_length;
    int32_t last;                 /* 1: the record is done */
};

/* Numbers of the core, for status and for tests. */
struct core_facts {
    uint32_t shard;
    uint32_t rules;
    uint64_t sequence;       /* last taken */
    uint64_t next_offset;    /* of the record after the last applied one; 0 at the beginning */
    int64_t clock_us;
    uint64_t state_hash;
    uint64_t balance_hash;
    uint64_t open_orders;
    int64_t client_order_id_memory_us;
    uint64_t markets_changed; /* sequence of the last change of an asset or an instrument */
    int64_t next_due_us;      /* when the first thing that waits for time is due; 0: nothing does, or the shard is halted */
    uint64_t halt_sequence;   /* of the Halt that stopped the shard; 0: it trades */
};

/* The assertion that failed; `rule` is NULL if none did. The texts are constants. */
struct core_failure {
    const char *rule;
    const char *file;
    uint32_t line;
};

/* A new, empty core of a shard (0..1023; CORE_FOREIGN if it is not). CORE_NO_ROOM if memory is short. */
int core_new(uint32_t shard, core **out);
void core_free(core *c);

/* Is this a well-formed batch? Needs no core and no state; reads nothing outside the bytes. CORE_OK or CORE_FOREIGN; then `where` is
 * the offset of the first byte that is wrong. */
int core_check(const uint8_t *bytes, uint32_t length, struct core_batch *batch, uint32_t *where);

/* Apply a command record and fill one part. Call with part 0, then with the same arguments and part 1, 2, ... until `last`.
 * offset must be next_offset. Nothing else may be called on the core between the parts of a record. */
int core_apply(core *c, uint64_t offset, int64_t time_us, const uint8_t *record, uint32_t length, uint32_t part,
               struct core_part *out);

/* The same for a record that operators had to skip: it takes its place, its sequences and its numbers, and each of its commands ends
 * as engine_refused. Nothing else comes of it, and what is due waits for the next record. */
int core_skip(core *c, uint64_t offset, int64_t time_us, const uint8_t *record, uint32_t length, uint32_t part,
              struct core_part *out);

/* What returned CORE_FAILED. */
void core_failed(const core *c, struct core_failure *out);

void core_facts(const core *c, struct core_facts *out);

/* Queries write an encoded response message (proto/bourse/matching/v1/matching_service.proto) and return its length, or CORE_SMALL_BUFFER.
 * Those with a cursor write pieces to be concatenated: start with 0, go on until it is 0 again; 64 KB is room enough for a piece. */
/* By id only open orders are found; by client order id those too that ended and are remembered. */
int64_t core_get_order(const core *c, uint32_t account, uint64_t order_id, const uint8_t *client_order_id,
                       uint32_t client_order_id_length, uint8_t *out, uint32_t capacity);
int64_t core_list_open_orders(const core *c, uint32_t account, uint32_t instrument, uint64_t *cursor, uint8_t *out,
                              uint32_t capacity);
int64_t core_get_balances(const core *c, uint32_t account, uint64_t *cursor, uint8_t *out, uint32_t capacity);
int64_t core_get_account(const core *c, uint32_t account, uint8_t *out, uint32_t capacity);
int64_t core_get_depth(const core *c, uint32_t instrument, uint64_t *cursor, uint8_t *out, uint32_t capacity);
int64_t core_list_markets(const core *c, uint64_t *cursor, uint8_t *out, uint32_t capacity);
int64_t core_verify(const core *c, uint64_t *cursor, uint8_t *out, uint32_t capacity);

/* Walk everything; 0, or where in native/ the rule stands that is broken: its line, and 10,000 times its file, 0 for core_validate.c,
 * 1 for risk.c, 2 for names.c, 3 for sessions.c, 4 for book_validate.c, 5 for timers.c. */
int core_validate(const core *c);

/* A snapshot is a stream of bytes, the same for equal states whatever the process settings. core_snapshot writes a piece and
 * returns its length; start with cursor 0, go on until it is 0 again; 1 MB is room enough for a piece. */
int64_t core_snapshot(const core *c, uint64_t *cursor, uint8_t *out, uint32_t capacity);

/* Build a core from the whole of a snapshot. CORE_BROKEN, CORE_UNKNOWN_RULES or CORE_NO_ROOM and no core if it cannot be. */
int core_restore(const uint8_t *bytes, uint64_t length, core **out);
