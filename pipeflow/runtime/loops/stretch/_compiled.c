/* The innermost loops, compiled: the same as in interpreted.py, which says what they promise.
 *
 * An item costs its user's function a tenth of a microsecond, and what Python needs to count it, to
 * look at it and to append it three times as much. Here that is little beside the function.
 *
 * Nothing here lets go of the interpreter's lock, waits, or runs Python code but the user's: so
 * between two items no other thread and no signal handler runs. Where items are spread by a key, the
 * key is the user's, and appending runs Python code of ours as well.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#if defined(__linux__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOPS 1
#include <errno.h>
#include <marshal.h>
#include <sched.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#else
#define HOPS 0 /* elsewhere frames take the way that is written in Python */
#endif

/* Why a stretch is over; the same numbers as in interpreted.py. */
enum why { WHOLE, OTHER, RAISED, UNSEEN, STOPPING };

#include "objects.h"

#include "helpers.h"

#include "settled.h"

#include "stretches.h"

#if HOPS
#include "constants.h"

#include "look.h"

#include "frames.h"

#include "outlet.h"

#include "units.h"

#include "sending.h"

#include "pacing.h"

#include "gather.h"

#include "inlet.h"

#include "hop.h"

#include "types.h"
#endif

/* -- the module */

static const struct {
    const char *name;
    int value;
} constants[] = {
    {"WHOLE", WHOLE},
    {"OTHER", OTHER},
    {"RAISED", RAISED},
    {"UNSEEN", UNSEEN},
    {"STOPPING", STOPPING},
    {"HOPS", HOPS},
#if HOPS
    {"IDLE", IDLE},
    {"LONGER", LONGER},
    {"ON", ON},
    {"FULL", FULL},
#endif
    /* What was compiled from an older source has another number, and is not used. */
    {"FORM_7", 0},
};

static PyMethodDef functions[] = {
    {"take", (PyCFunction)(void (*)(void))take, METH_FASTCALL, NULL},
    {"call", (PyCFunction)(void (*)(void))call, METH_FASTCALL, NULL},
    {"call_only", (PyCFunction)(void (*)(void))call_only, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_compiled",
    .m_doc = "The innermost loops, compiled; see interpreted.py.",
    .m_size = -1,
    .m_methods = functions,
};

#if HOPS

static int
add_hops(PyObject *module)
{
    if (read_all() < 0) {
        return -1;
    }
    return PyModule_AddType(module, &OutletType) < 0 ? -1 : PyModule_AddType(module, &HopType);
}

#endif

PyMODINIT_FUNC
PyInit__compiled(void)
{
    if (make_names() < 0) {
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) {
        return NULL;
    }
    int failed = 0;
    for (size_t each = 0; !failed && each < Py_ARRAY_LENGTH(constants); each++) {
        failed = PyModule_AddIntConstant(module, constants[each].name, constants[each].value) < 0;
    }
#if HOPS
    failed = failed || add_hops(module) < 0;
#endif
    if (failed) {
        Py_CLEAR(module);
    }
    return module;
}
