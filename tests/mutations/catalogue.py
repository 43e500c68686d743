"""What is broken on purpose, and which tests must notice.

A mutation is a text in one file of ``pipeflow/`` and what stands there instead. The text is there
once; when the source changes, the run says which mutation has to follow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CONFORMANCE = "tests/executors/test_conformance.py"
HARD = "tests/executors/test_hard_cases.py"
ISOLATION = "tests/executors/test_isolation.py"
POLICIES = "tests/executors/test_policies.py"
UNLOADABLE = "tests/executors/test_unloadable_items.py"
STRETCH = "tests/runtime/test_stretch.py"
DEALT = "tests/runtime/test_dealing.py"
HOPS = "tests/runtime/test_hops.py"
HOPS_OF_ARRAYS = "tests/runtime/test_hops_of_arrays.py"
TRANSPORTS = "tests/transports/test_conformance.py"
ARENA = "tests/transports/test_arena.py"
CRASHES = "tests/faults/test_crash_matrix.py"
SECURITY = "tests/faults/test_security.py"


@dataclass(frozen=True, slots=True)
class Mutation:
    """One way to break the source.

    Attributes:
        name: What is broken, in a few words.
        file: Below ``pipeflow/``.
        old: Stands there once.
        new: Takes its place.
        tests: Ids of tests, as pytest has them, of which one must fail.
        only: As ``pytest -k``.
    """

    name: str
    file: str
    old: str
    new: str
    tests: Sequence[str]
    only: str = ""


#: What a run promises of its items, and of their order.
ITEMS = (
    Mutation(
        "gaps told before the calls between them are done",
        "runtime/flow/gapped.py",
        "return self.units[count] if len(self.units) > count else self.end",
        "return self.end",
        ["tests/runtime/test_gapped.py"],
    ),
    Mutation(
        "an item's own unit told as another's",
        "runtime/flow/gapped.py",
        "max(reached, units[count - 1] + 1)",
        "reached",
        ["tests/runtime/test_scattering.py"],
    ),
    Mutation(
        "rows of several writers one behind the other",
        "runtime/flow/weaving.py",
        "key=units.__getitem__",
        "key=froms.__getitem__",
        ["tests/runtime/test_weaving.py"],
    ),
    Mutation(
        "the end of a row with gaps forgotten after its last call",
        "runtime/loops/calls.py",
        "if halt is None and at + 1 == len(calls.payloads):",
        "if halt is not None:",
        ["tests/runtime/test_keeping.py"],
    ),
    Mutation(
        "units around a call that is cut out of its row forgotten",
        "runtime/isolation/entries.py",
        "        over = entry.task.begin_of(at), entry.task.begin_of(at + 1)\n",
        "        over = entry.task.single(at).unit, entry.task.single(at).unit + 1\n",
        ["tests/runtime/isolation/test_keeper_units.py"],
    ),
    Mutation(
        "credit of units that gave nothing kept",
        "runtime/flow/weaving.py",
        "        if part.cost:\n",
        "        if part.cost and part.items:\n",
        ["tests/runtime/test_weaving.py"],
    ),
    Mutation(
        "sequence checks off",
        "transports/frames.py",
        "if seq != expected and (seq < expected or self._gapless):",
        "if seq < 0:",
        [f"{TRANSPORTS}::test_a_lost_frame_is_noticed"],
    ),
    Mutation(
        "frames of another attempt let in",
        "transports/frames.py",
        "if attempt != self._attempt or channel",
        "if channel",
        [f"{TRANSPORTS}::test_a_frame_of_another_attempt_is_refused"],
    ),
    Mutation(
        "count of the end of input not checked",
        "transports/frames.py",
        "if received != header.credits:",
        "if received < 0:",
        [f"{TRANSPORTS}::test_an_end_that_counts_more_than_came_is_noticed"],
    ),
    Mutation(
        "plain frames of another attempt let in",
        "transports/pipe.py",
        "head != self._head\n            or seq",
        "seq",
        ["tests/transports/test_plain_frames.py"],
    ),
    Mutation(
        "plain frames let in again",
        "transports/pipe.py",
        "or seq != check.due[0]\n            or end > stop\n",
        "or seq < 0\n            or end > stop\n",
        ["tests/transports/test_plain_frames.py"],
    ),
    Mutation(
        "frames of one array let in again",
        "transports/pipe.py",
        "or seq != check.due[0]\n            or (items, buffers)",
        "or seq < 0\n            or (items, buffers)",
        ["tests/transports/test_lone_arrays.py"],
    ),
    Mutation(
        "what lies in an item may be kept by others",
        "runtime/flow/runs.py",
        "own = alone and (held == 1 or (held == 2 and _holds(item, each)))",
        "own = alone",
        [STRETCH],
    ),
    Mutation(
        "an item that its function keeps waits as it is",
        "runtime/loops/stretch/interpreted.py",
        "(OURS if result is not payload else _ITEM + 1)",
        "OURS or result is payload",
        [STRETCH],
    ),
    Mutation(
        "the board is not told what is in hand",
        "runtime/loops/stretch/interpreted.py",
        "            row[last] = ordinal\n"
        "            result = function(*payload) if joined else function(payload)\n"
        "            kind",
        "            result = function(*payload) if joined else function(payload)\n"
        "            kind",
        [STRETCH],
    ),
    Mutation(
        "the first item after a wait leaves alone",
        "runtime/flow/express.py",
        "self._began += self._now() - came",
        "",
        ["tests/runtime/test_rows.py"],
    ),
    Mutation(
        "what was sent can be written again",
        "transports/sealing.py",
        "        base.release()\n",
        "",
        ["tests/transports/test_sealing.py"],
    ),
    Mutation(
        "a writer gone without an end is no loss",
        "runtime/watch/lifecycle.py",
        "        Happening.STOP: Life.STOPPING,\n        Happening.EXITED: Life.FAILED,\n    },\n"
        "    Life.FINISHING",
        "        Happening.STOP: Life.STOPPING,\n        Happening.EXITED: Life.DONE,\n    },\n"
        "    Life.FINISHING",
        [CRASHES],
        "os._exit",
    ),
    Mutation(
        "a credit lost with each frame",
        "runtime/flow/inlets.py",
        "channel, due = self.channel, credits",
        "channel, due = self.channel, max(0, credits - 1)",
        [
            f"{HARD}::test_a_stuck_reader_lets_a_source_be_asked_for_three_items_at_most",
            CONFORMANCE,
        ],
        "three_items or order",
    ),
    Mutation(
        "a writer pays no attention to its credit",
        "transports/credit.py",
        "return max(0, capacity - in_flight)",
        "return capacity",
        [f"{TRANSPORTS}::test_a_writer_has_no_room_beyond_the_capacity_until_items_are_taken"],
    ),
    Mutation(
        "a drop uncounted",
        "runtime/flow/mailbox.py",
        "self._row[DROPPED] += 1",
        "self._row[DROPPED] += 0",
        [f"{CONFORMANCE}::test_what_a_full_edge_drops_is_counted"],
    ),
    Mutation(
        "a skipped item uncounted",
        "runtime/loops/base.py",
        "self.row[SKIPPED] += count",
        "self.row[SKIPPED] += 0",
        [f"{CONFORMANCE}::test_a_skipped_item_is_counted"],
    ),
    Mutation(
        "an unmatched item uncounted",
        "runtime/flow/inbox.py",
        "self.ports[lone.origin.port].row[UNMATCHED] += 1",
        "self.ports[lone.origin.port].row[UNMATCHED] += 0",
        [f"{CONFORMANCE}::test_a_zip_pairs_by_id_and_the_rest_is_unmatched"],
    ),
    Mutation(
        "items of a row not counted as delivered",
        "runtime/loops/calls.py",
        "inbox.delivered_in(calls, called)",
        "inbox.delivered_in(calls, 0)",
        [f"{CONFORMANCE}::test_a_chain_maps_filters_and_keeps_ids"],
    ),
    Mutation(
        "the ledger is blind",
        "telemetry/ledger.py",
        "return Ledger(balanced=not findings, findings=tuple(findings))",
        "return Ledger(balanced=True, findings=())",
        [f"{HARD}::test_a_transport_that_loses_a_frame_makes_the_ledger_fail"],
    ),
    Mutation(
        "the item in a dead worker's hand forgotten",
        "runtime/account.py",
        "_sum(rows, cells.FAILED) + lost",
        "_sum(rows, cells.FAILED)",
        [CRASHES],
        "SIGKILL and middle",
    ),
    Mutation(
        "units given out as they come",
        "runtime/flow/collector.py",
        "self.ordered = ordered and writers > 1",
        "self.ordered = False",
        [CONFORMANCE],
        "replicas_keep_the_order",
    ),
    Mutation(
        "a reader that waits on purpose though nothing comes by that",
        "runtime/waits/moderation.py",
        "if held_up or (self._waited and came < FEWEST):",
        "if held_up:",
        ["tests/runtime/test_moderation.py"],
    ),
    Mutation(
        "a reader that waits on purpose while a writer waits for room",
        "runtime/waits/moderation.py",
        "if held_up or (self._waited",
        "if (self._waited",
        ["tests/runtime/test_moderation.py"],
    ),
    Mutation(
        "what is sent on demand asked for late on purpose",
        "runtime/flow/inbox.py",
        "return not self.is_on_demand() and self.arrivals.come_in_turn()",
        "return self.arrivals.come_in_turn()",
        ["tests/runtime/test_arrivals.py"],
    ),
    Mutation(
        "the budget never spent",
        "runtime/loops/base.py",
        "        if spent:\n",
        "        if spent and not spent:\n",
        [f"{POLICIES}::test_more_items_given_up_than_the_budget_fail_the_run"],
    ),
    Mutation(
        "the items of a dead runner forgotten",
        "runtime/isolation/docket.py",
        "        self._entries = deque(rest)\n",
        "        rest = rest[:1]\n        self._entries = deque(rest)\n",
        [ISOLATION],
        "come_out_in_order or is_tried_again",
    ),
    Mutation(
        "items that a dead runner was done with given to the next one too",
        "runtime/isolation/entries.py",
        "    at = entry.done\n    if hit:\n",
        "    at = entry.done if hit else 0\n    if hit:\n",
        ["tests/runtime/isolation/test_docket.py", ISOLATION],
        "docket or come_out_in_order",
    ),
    Mutation(
        "an item that kills its process tried for ever",
        "runtime/isolation/docket.py",
        "        return entry.tried if entry is not None else 0\n",
        "        return 0\n",
        ["tests/runtime/isolation", ISOLATION],
        "tried or tries or given",
    ),
    Mutation(
        "the unit of an item that was given up never ended",
        "runtime/isolation/replacing.py",
        "                self._end_units(docket.settle(_count(call)))\n",
        "                docket.settle(_count(call))\n",
        ["tests/runtime/isolation/test_keeper_units.py"],
    ),
    Mutation(
        "units that were told ahead of a result told once more",
        "runtime/isolation/entries.py",
        "    entry.told = call.unit\n",
        "",
        ["tests/runtime/isolation/test_keeper_units.py"],
    ),
    Mutation(
        "units that were told ahead of a result told again by the call cut out",
        "runtime/isolation/entries.py",
        "    return max(over[0], entry.told), over[1]\n",
        "    return over\n",
        ["tests/runtime/isolation/test_keeper_units.py"],
    ),
    Mutation(
        "a letter of a process that died ahead of the units before it",
        "runtime/isolation/replacing.py",
        "        self._end_ahead(call.lane, call.unit)  # of its letter\n",
        "",
        ["tests/executors/test_kept_rows.py"],
        "letters",
    ),
    Mutation(
        "tries that were told while their item was in hand forgotten",
        "runtime/isolation/hearing.py",
        "        if newly:\n            self._retried = row[RETRIED]\n",
        "        self._retried = row[RETRIED]\n",
        [ISOLATION],
        "try_too_many",
    ),
    Mutation(
        "a frame that killed who loaded it loaded whole again",
        "runtime/isolation/replacing.py",
        "frame.singly = True",
        "frame.singly = False",
        [UNLOADABLE],
        "kills_who_loads_it and segfault",
    ),
    Mutation(
        "an item that killed who loaded it loaded again",
        "runtime/isolation/replacing.py",
        "            frame.lost[item.at] = failure\n",
        "",
        [UNLOADABLE],
        "kills_who_loads_it and segfault",
    ),
    Mutation(
        "an item that was lost before it was due is loaded again",
        "runtime/isolation/docket.py",
        "for each in without_lost(Entry.of(task))",
        "for each in (Entry.of(task),)",
        ["tests/runtime/isolation/test_sealed.py"],
    ),
    Mutation(
        "a join looks at items whose keys are not known",
        "runtime/flow/keyed.py",
        "            return moved  # its key is not known yet\n",
        "            side.pending.popleft()\n            return True\n",
        ["tests/runtime/test_keyed.py"],
    ),
    Mutation(
        "calls that gave nothing told out of their order",
        "runtime/isolation/runner_outbox.py",
        "if quiet != self._quiet:",
        "if quiet < self._quiet:",
        [ISOLATION],
        "give_nothing",
    ),
    Mutation(
        "nobody waits for who reads the letters of a stage that failed",
        "runtime/watch/heirs.py",
        "if each.stage in reached",
        "if each.stage in reached and not reached",
        [POLICIES],
        "spent_the_budget",
    ),
)

#: What a run promises of shared memory.
ARRAYS = (
    Mutation(
        "holders' cells ignored",
        "transports/holdings.py",
        '        if int.from_bytes(row, "little") & self._odd:\n            return False\n',
        "",
        [ARENA, CONFORMANCE],
        "never_overwritten or all_intact or held_array",
    ),
    Mutation(
        "slots released before their reader holds them",
        "transports/outgoing.py",
        "        if keep:\n            self._kept.append((seq, keep))\n",
        "        del seq, keep\n",
        [ARENA, "tests/transports/test_crashes.py"],
        "never_overwritten or one_copy or lent_again",
    ),
    Mutation(
        "arrays that may be written",
        "transports/layout.py",
        "self.backing.map(0, self.handle.total_bytes, writable=False)",
        "self.backing.map(0, self.handle.total_bytes, writable=True)",
        [f"{CONFORMANCE}::test_a_held_array_stays_what_it_was_and_is_read_only"],
    ),
    Mutation(
        "the limit of memory ignored",
        "transports/claims.py",
        "if maps.usage_of_all(Usage.RESERVED) <= limit:",
        "if limit:",
        [f"{HARD}::test_a_window_beyond_the_limit_ends_the_run_and_names_who_holds_most"],
    ),
    Mutation(
        "a pool gives up at once",
        "transports/hope.py",
        "return now - self._stirred_at >= STILL_S or now - self._moved_at >= LONGEST_S",
        "return True",
        ["tests/faults/test_limits.py"],
        "near_what_is_in_hand",
    ),
    Mutation(
        "a bounded address space ignored",
        "transports/layout.py",
        "    if address_space is None:\n",
        "    if address_space is None or address_space:\n",
        ["tests/faults/test_limits.py"],
        "address_space",
    ),
)

#: What a run promises of its end.
ENDS = (
    Mutation(
        "no tie to the parent",
        "runtime/launch/ties.py",
        "    _prctl(_PR_SET_PDEATHSIG, number)\n",
        "    del number\n",
        ["tests/executors/test_local_processes.py"],
        "launch_server_ends or supervisor_is_killed",
    ),
    Mutation(
        "a victim told as the cause",
        "runtime/watch/root_cause.py",
        "            cause.failure.victim,\n",
        "            not cause.failure.victim,\n",
        ["tests/runtime/test_root_cause.py", CRASHES],
        "victim or (SIGKILL and middle)",
    ),
    Mutation(
        "circles of waits not looked for",
        "runtime/watch/deadlock.py",
        "    if not all_wait(now):",
        "    if all_wait(now):",
        ["tests/runtime/test_deadlock.py"],
    ),
    Mutation(
        "who gets no processor believed to wait",
        "runtime/watch/deadlock.py",
        "filter(is_asleep, now)",
        "list(now)",
        ["tests/runtime/test_deadlock.py", "tests/runtime/test_supervisor_looks.py"],
    ),
    Mutation(
        "what is being unpickled not noted",
        "runtime/flow/arrivals.py",
        "            put_loading(row, first_id(meta), packet.items)\n",
        "            pass\n",
        [CRASHES],
        "unpickling and (SIGKILL or segfault or abort)",
    ),
    Mutation(
        "sys.exit in close ends a worker unnoticed",
        "runtime/loops/base.py",
        "        except BaseException as error:  # the user's code, sys.exit too: a boundary\n"
        "            raise self._stopped(error, phase) from None\n",
        "        except Exception as error:  # the user's code: a boundary\n"
        "            raise self._stopped(error, phase) from None\n",
        [CRASHES],
        "sys.exit and close",
    ),
)

#: What must never be seen.
SECRETS = (
    Mutation(
        "secrets shown",
        "telemetry/masking.py",
        "    return lambda text: pattern.sub(MASK, text)\n",
        "    return lambda text: text\n",
        [SECURITY],
        "s11",
    ),
    Mutation(
        "control characters shown",
        "telemetry/masking.py",
        "    return re.sub(_CONTROLS, _escaped, text)\n",
        "    return text\n",
        [SECURITY, "tests/faults/test_processes.py"],
        "s12 or f40",
    ),
    Mutation(
        "modules of the current folder shadow those of the launch server",
        "runtime/launch/program.py",
        'return [sys.executable, "-P", "-c",',
        'return [sys.executable, "-c",',
        [SECURITY],
        "s24",
    ),
    Mutation(
        "programs of ours are looked for on the path",
        "runtime/launch/program.py",
        'sys.modules["pipeflow"] = ours = module_from_spec(spec)\nspec.loader.exec_module(ours)\n',
        "",
        ["tests/executors/test_same_package.py"],
    ),
    Mutation(
        "replicas of pure Python are forked",
        "runtime/launch/sharing.py",
        "    return fills and plan.processes <=",
        "    return not fills and plan.processes <=",
        ["tests/runtime/test_sharing.py"],
    ),
    Mutation(
        "however many processes there are, each is a program of its own",
        "runtime/launch/sharing.py",
        "return fills and plan.processes <= PROCESSES_A_CORE * plan.cores",
        "return fills",
        ["tests/runtime/test_sharing.py"],
    ),
    Mutation(
        "who has asked for forked workers gets programs",
        "executors/local.py",
        "self._is_told = bool(start_method)",
        "self._is_told = False",
        ["tests/executors/test_sharing.py"],
        "programs_of_their_own",
    ),
)

#: What is compiled, and must do as the Python code does. The copy is compiled anew for each.
COMPILED = (
    Mutation(
        "hop: an item that its function keeps waits as it is",
        "runtime/loops/stretch/stretches.h",
        "(result == payload ? 2 + others : 1)",
        "(result == payload ? Py_REFCNT(result) : 1)",
        [HOPS],
    ),
    Mutation(
        "hop: a failed item is not in its place again",
        "runtime/loops/stretch/stretches.h",
        "    if (was_taken && at < PyList_GET_SIZE(payloads)) {",
        "    if (was_taken && at > PyList_GET_SIZE(payloads)) {",
        [HOPS],
    ),
    Mutation(
        "hop: more is sent than there is room for",
        "runtime/loops/stretch/outlet.h",
        "Py_ssize_t free = self->capacity - (in_flight > 0 ? in_flight : 0) - waiting;",
        "Py_ssize_t free = 2 * self->capacity - (in_flight > 0 ? in_flight : 0) - waiting;",
        [HOPS],
    ),
    Mutation(
        "hop: ids go on from those that were sent",
        "runtime/loops/stretch/sending.h",
        "    if (set_number(self->run, name__next, next + count) < 0 ||",
        "    if (set_number(self->run, name__next, next) < 0 ||",
        [HOPS],
    ),
    Mutation(
        "hop: the rest of a frame begins anew",
        "runtime/loops/stretch/sending.h",
        "PyBytes_FromStringAndSize(to + written, size - written)",
        "PyBytes_FromStringAndSize(to, size)",
        [HOPS],
    ),
    Mutation(
        "hop: what waits may be pickled one by one already",
        "runtime/loops/stretch/sending.h",
        "    int whole = is_attribute(self->run, name_pile, Py_None);",
        "    int whole = 1;",
        [HOPS],
    ),
    Mutation(
        "hop: a frame's number is not looked at",
        "runtime/loops/stretch/inlet.h",
        "if (get_u64(header + 16) != (uint64_t)due || get_u32",
        "if (get_u32",
        [HOPS],
    ),
    Mutation(
        "hop: credit is given back for what was not called",
        "runtime/loops/stretch/inlet.h",
        "    if (row->delivered != row->count && row->owed < self->lot) {\n"
        "        return 0;\n"
        "    }\n",
        "    row->owed += row->count - row->delivered;\n",
        [HOPS],
    ),
    Mutation(
        "hop: a writer that waits is not rung",
        "runtime/loops/stretch/inlet.h",
        "return self->counters[self->waiting] ? tell(self->receiver, name_ring) : 0;",
        "return 0;",
        [HOPS],
    ),
    Mutation(
        "hop: what gave nothing is not counted",
        "runtime/loops/stretch/hop.h",
        "            ++*empty;\n            row->at++;",
        "            row->at++;",
        [HOPS],
    ),
    Mutation(
        "hop: the last results wait for the next frame",
        "runtime/loops/stretch/hop.h",
        "    if (self->outlet != NULL && outlet_flush(self->outlet) < 0) {",
        "    if (self->outlet != NULL && PyErr_Occurred()) {",
        [HOPS],
    ),
    Mutation(
        "hop: units that are over are not told before a look",
        "runtime/loops/stretch/units.h",
        "    return PyErr_Occurred() ? -1 : reached > told;",
        "    return PyErr_Occurred() ? -1 : reached < told;",
        [HOPS],
    ),
    Mutation(
        "hop: units with others between them go as if they counted on",
        "runtime/loops/stretch/units.h",
        "    return PyErr_Occurred() ? -1 : reached - told == count;",
        "    return PyErr_Occurred() ? -1 : reached - told >= count;",
        [HOPS],
    ),
    Mutation(
        "hop: units are told again",
        "runtime/loops/stretch/units.h",
        "        set_number(self->run, name_told, reached) < 0) {",
        "        set_number(self->run, name_told, told) < 0) {",
        [HOPS],
    ),
    Mutation(
        "hop: a kept unit that gave nothing goes as one without order",
        "runtime/loops/stretch/hop.h",
        "keeps ? name_leave_gap : name_list_ordinals",
        "keeps ? name_list_ordinals : name_list_ordinals",
        [HOPS],
    ),
    Mutation(
        "hop: what was announced stays so where a row ends early",
        "runtime/loops/hops.py",
        "            self.keeping.retract()",
        "            self.keeping.note_end()",
        [HOPS],
    ),
    Mutation(
        "hop: room that the longer way has taken is not looked at",
        "runtime/loops/stretch/sending.h",
        "    if (!failed && keeps_units(self)) {",
        "    if (failed && keeps_units(self)) {",
        [HOPS],
    ),
    Mutation(
        "hop: a source goes on once it is drained",
        "runtime/loops/stretch/gather.h",
        "return stop < 0 ? -1 : stop ? STOPPING : WHOLE;",
        "return WHOLE;",
        [HOPS],
    ),
    Mutation(
        "hop: the bytes of an array are not given back",
        "runtime/loops/stretch/inlet.h",
        "[self->reader + TAKEN_BYTES] += row->nbytes;",
        "[self->reader + TAKEN_BYTES] += 0;",
        [HOPS_OF_ARRAYS],
    ),
    Mutation(
        "hop: those of an array whose result has no room are forgotten",
        "runtime/loops/stretch/hop.h",
        "row->delivered, row->owed, row->nbytes, value_or_none(ending)",
        "row->delivered, row->owed, (unsigned long long)0, value_or_none(ending)",
        [HOPS_OF_ARRAYS],
    ),
    Mutation(
        "an array overtakes what waits",
        "runtime/flow/express.py",
        "            run.payloads\n            or not self.passes_alone\n",
        "            not self.passes_alone\n",
        [HOPS_OF_ARRAYS],
    ),
    Mutation(
        "an array of a known kind is looked at in another layout",
        "transports/codec.py",
        "self._known[bytes(packet.pickled)] = shape, array.dtype, layout",
        "self._known[bytes(packet.pickled)] = shape, array.dtype, None",
        ["tests/transports/test_lone_arrays.py"],
    ),
    Mutation(
        "an array that came in short is never confirmed",
        "transports/pipe.py",
        "        self._counts[0] += 1\n",
        "",
        ["tests/transports/test_lone_arrays.py"],
    ),
    Mutation(
        "a wait for a slot is too short to see one come back",
        "transports/shelf.py",
        "longer = min(_ITEMS_PER_WAIT * pace_s, _MOST_WORTHS * worth)",
        "longer = min(pace_s, worth)",
        ["tests/transports/test_shelf.py"],
    ),
)

#: How items are spread over replicas.
DEALING = (
    Mutation(
        "dealing: all is dealt at once, however slow the replicas are",
        "runtime/flow/dealing.py",
        "        if not self._is_slow:\n            return self._roomiest(count)\n",
        "        if self._pause:\n            return self._roomiest(count)\n",
        [DEALT],
    ),
    Mutation(
        "dealing: what is kept back takes no room",
        "runtime/flow/dealing.py",
        "for each in targets]) - self._kept_items - spare",
        "for each in targets]) - spare",
        [DEALT],
    ),
    Mutation(
        "dealing: the last items are never dealt",
        "runtime/flow/outbox.py",
        "            self._ways.wind_up()\n",
        "",
        ["tests/executors/test_even_replicas.py"],
    ),
    Mutation(
        "dealing: nobody deals while the source takes its time",
        "runtime/flow/threads.py",
        "        while not self._outbox.flush_old():\n",
        "        while not self._outbox.flush_old() and not PATIENCE_S:\n",
        ["tests/runtime/test_linger.py"],
    ),
    Mutation(
        "dealing: who has nothing to do is believed to be slow",
        "runtime/flow/ahead.py",
        "max(self.ahead, ahead)  # it could",
        "ahead  # it could",
        [DEALT],
    ),
    Mutation(
        "dealing: who waits for what comes is dealt ahead all the same",
        "runtime/flow/ahead.py",
        "min(self.ahead, ahead)  # there was",
        "ahead  # there was",
        [DEALT],
    ),
    Mutation(
        "dealing: what replicas have taken is not looked at",
        "runtime/flow/dealing.py",
        "            if self._is_slow and not self._kept:\n",
        "            if self._is_slow and not count:\n",
        [DEALT],
    ),
    Mutation(
        "dealing: who shares a channel gets as much at once as goes into a frame",
        "runtime/flow/express.py",
        "        self._size_frames()\n        target.cost = 0\n",
        "        self.batch_items = self._most\n        target.cost = 0\n",
        ["tests/runtime/test_frame_size.py"],
    ),
    Mutation(
        "dealing: who does half an edge in his time is dealt all of it ahead",
        "runtime/flow/dealing.py",
        "min(self._paces[at].ahead, self._capacity)",
        "[self._capacity, one][2 * (one := self._paces[at].ahead) < self._capacity]",
        [DEALT],
    ),
    Mutation(
        "dealing: the last items are dealt as early as all others",
        "runtime/flow/dealing.py",
        "        self._is_last = True\n",
        "",
        [DEALT],
    ),
    Mutation(
        "dealing: much memory is kept back",
        "runtime/flow/dealing.py",
        " or self._kept_bytes > KEPT_BYTES:",
        ":",
        [DEALT],
    ),
    Mutation(
        "dealing: what is kept back is not counted before it leaves",
        "runtime/flow/dealing.py",
        "        self._targets[0].count(packet.items)\n",
        "",
        [DEALT],
    ),
    Mutation(
        "dealing: who rests for replicas keeps what waits elsewhere",
        "runtime/flow/ways.py",
        "            flush_all_but(express)\n",
        "",
        ["tests/executors/test_even_replicas.py"],
    ),
    Mutation(
        "dealing: a rest is a wait of its own each time",
        "runtime/flow/dealing.py",
        "            yield self._rest_s\n",
        "            return\n",
        ["tests/executors/test_even_replicas.py"],
    ),
    Mutation(
        "dealing: what is kept back is as young as what came last",
        "runtime/flow/dealing.py",
        "        return self._kept[0].born if self._kept else self.born\n",
        "        return self.born\n",
        [DEALT],
    ),
    Mutation(
        "dealing: who takes nothing for a moment takes hardly anything",
        "runtime/flow/frame_size.py",
        " and elapsed_s < LONGEST_LOOK_S:",
        " and not elapsed_s:",
        ["tests/runtime/test_frame_size.py"],
    ),
    Mutation(
        "dealing: items that have to wait anyway are looked at one by one",
        "runtime/flow/dealing.py",
        "return most if self._kept else min(held, most)",
        "return min(held, most)",
        [DEALT],
    ),
    Mutation(
        "dealing: a replica that hands on is dealt by its own pace",
        "runtime/flow/dealing.py",
        "(self._hands_over or self._onward)",
        "self._hands_over",
        [DEALT],
    ),
)

MUTATIONS = (*ITEMS, *DEALING, *COMPILED, *ARRAYS, *ENDS, *SECRETS)
