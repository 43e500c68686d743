/* Numbers that Python modules of ours define: they are read once, and stand here by their names. */

/* board.py: cells of a worker's row, and of an edge's */
static Py_ssize_t HAND, HAND_DEPTH, IN_ROW, ROW_BASE, ROW_FIRST, ROW_BEGUN, IN_EDGE, IN_WIDTH;
static Py_ssize_t RECEIVED, PROCESSED, EMPTY, BUSY_NS, WAIT_IN_NS, WAIT_OUT_NS, SINCE_NS, TURNS;
static Py_ssize_t WORKER_WORDS, DELIVERED, SENT, COPIED_BYTES;
/* counters.py: cells of a channel, in the writer's row and in the reader's */
static Py_ssize_t WRITER_CREDITS, WRITER_BYTES, WRITER_FRAMES, WRITER_PEAK;
static Py_ssize_t FRAMES_RECEIVED, CREDITS_RECEIVED, CONFIRMED, TAKEN_CREDITS, TAKEN_BYTES;
/* others, as their tables say */
static Py_ssize_t PATIENCE, RETRY_EVERY, JOINED_BELOW, PICKLED, PLAIN_FORM, LOOKS, GROWTH;
static double FAST_S, GAP_S, LATE_S;
static PyObject *DUMP_PLAIN, *LOAD_PLAIN;

#define WHOLE_NUMBER(name) {#name, &name, NULL}
#define REAL_NUMBER(name) {#name, NULL, &name}
#define LAST {NULL, NULL, NULL}

static const struct constant of_board[] = {
    WHOLE_NUMBER(HAND),      WHOLE_NUMBER(HAND_DEPTH),   WHOLE_NUMBER(IN_ROW),
    WHOLE_NUMBER(ROW_BASE),  WHOLE_NUMBER(ROW_FIRST),    WHOLE_NUMBER(ROW_BEGUN),
    WHOLE_NUMBER(IN_EDGE),   WHOLE_NUMBER(IN_WIDTH),     WHOLE_NUMBER(RECEIVED),
    WHOLE_NUMBER(PROCESSED), WHOLE_NUMBER(EMPTY),        WHOLE_NUMBER(BUSY_NS),
    WHOLE_NUMBER(WAIT_IN_NS), WHOLE_NUMBER(WAIT_OUT_NS), WHOLE_NUMBER(SINCE_NS),
    WHOLE_NUMBER(TURNS),     WHOLE_NUMBER(WORKER_WORDS), WHOLE_NUMBER(DELIVERED),
    WHOLE_NUMBER(SENT),      WHOLE_NUMBER(COPIED_BYTES), LAST,
};
static const struct constant of_counters[] = {
    {"CREDITS", &WRITER_CREDITS, NULL},
    {"BYTES", &WRITER_BYTES, NULL},
    {"FRAMES", &WRITER_FRAMES, NULL},
    {"PEAK", &WRITER_PEAK, NULL},
    {"RECEIVED", &FRAMES_RECEIVED, NULL},
    {"RECEIVED_CREDITS", &CREDITS_RECEIVED, NULL},
    WHOLE_NUMBER(CONFIRMED),
    WHOLE_NUMBER(TAKEN_CREDITS),
    WHOLE_NUMBER(TAKEN_BYTES),
    LAST,
};
static const struct constant of_pause[] = {
    WHOLE_NUMBER(PATIENCE),
    WHOLE_NUMBER(RETRY_EVERY),
    LAST,
};
static const struct constant of_pipe[] = {WHOLE_NUMBER(JOINED_BELOW), LAST};
static const struct constant of_plain[] = {WHOLE_NUMBER(PICKLED), LAST};
static const struct constant of_runs[] = {WHOLE_NUMBER(PLAIN_FORM), LAST};
static const struct constant of_pacing[] = {
    REAL_NUMBER(FAST_S), REAL_NUMBER(GAP_S), REAL_NUMBER(LATE_S),
    WHOLE_NUMBER(LOOKS), WHOLE_NUMBER(GROWTH), LAST,
};

/* A function of another module. */
static PyObject *
function_of(const char *module, const char *name)
{
    PyObject *found = PyImport_ImportModule(module);
    PyObject *function = found == NULL ? NULL : PyObject_GetAttrString(found, name);
    Py_XDECREF(found);
    return function;
}

static int
read_all(void)
{
    DUMP_PLAIN = function_of("pipeflow.transports.plain", "dump_plain");
    LOAD_PLAIN = function_of("pipeflow.transports.plain", "load_plain");
    if (DUMP_PLAIN == NULL || LOAD_PLAIN == NULL ||
        read_constants("pipeflow.runtime.board", of_board) < 0 ||
        read_constants("pipeflow.transports.counters", of_counters) < 0 ||
        read_constants("pipeflow.transports.pause", of_pause) < 0 ||
        read_constants("pipeflow.transports.pipe", of_pipe) < 0 ||
        read_constants("pipeflow.transports.plain", of_plain) < 0 ||
        read_constants("pipeflow.runtime.flow.runs", of_runs) < 0) {
        return -1;
    }
    return read_constants("pipeflow.runtime.flow.pacing", of_pacing);
}
