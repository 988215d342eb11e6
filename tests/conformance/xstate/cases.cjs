// The cases, by topic: a name, a machine (JSON), and what happens to it: events, and milliseconds that pass.
'use strict';

const at = (name, machine, ...events) => ({ name, machine, events });
const abc = (a, more = {}) => ({ initial: 'a', states: { a, b: {}, c: {} }, ...more });
const regions = (first, second, more = {}) => ({ type: 'parallel', states: { first, second }, ...more });
const flip = (event) => ({ initial: 'x', states: { x: { on: { [event]: 'y' } }, y: { on: { [event]: 'x' } } } });

exports.selection = [
  at('a transition leads to its target', abc({ on: { GO: 'b' } }), 'GO', 'GO'),
  at('an unknown event changes nothing', abc({ on: { GO: 'b' } }), 'NO'),
  at('the first candidate whose guard holds is taken', abc({ on: { GO: [{ target: 'b', cond: 'no' }, { target: 'c' }] } }), 'GO'),
  at('no candidate whose guard holds', abc({ on: { GO: { target: 'b', cond: 'no' } } }), 'GO'),
  at('the inner state goes before the outer', {
    initial: 'p', on: { GO: '.q' }, states: { p: { initial: 'a', on: { GO: 'q' }, states: { a: { on: { GO: 'b' } }, b: {} } }, q: {} } }, 'GO', 'GO'),
  at('a failed guard inside lets the outer state try', {
    initial: 'p', states: { p: { initial: 'a', on: { GO: 'q' }, states: { a: { on: { GO: { target: 'b', cond: 'no' } } }, b: {} } }, q: {} } }, 'GO'),
  at('a star matches any event', abc({ on: { '*': 'b' } }), 'ANY'),
  at('an exact descriptor goes before a star', abc({ on: { '*': 'b', GO: 'c' } }), 'GO'),
  at('a star inside goes before an exact one outside', {
    initial: 'a', on: { GO: '.c' }, states: { a: { on: { '*': 'b' } }, b: {}, c: {} } }, 'GO'),
  at('a prefix with a star matches longer types', abc({ on: { 'x.*': 'b' } }), 'x.y'),
  at('a guard sees context and event', abc({ on: { GO: { target: 'b', cond: 'event:GO' }, NO: { target: 'c', cond: 'zero:n' } } }, { context: { n: 1 } }), 'NO', 'GO'),
  at('on given as a list', abc({ on: [{ event: 'GO', target: 'b', cond: 'no' }, { event: 'GO', target: 'c' }] }), 'GO'),
  at('a star takes a raised event', abc({ on: { GO: { actions: 'raise:X' }, '*': 'b' } }), 'GO'),
];

const forbidding = (value) => ({ initial: 'p', states: { p: { initial: 'a', on: { GO: 'q' }, states: { a: { on: { GO: value } } } }, q: {} } });
exports.forbidden = [
  at('an empty dict forbids', forbidding({}), 'GO'),
  at('an empty list does not forbid', forbidding([]), 'GO'),
  at('actions without a target handle the event', forbidding({ actions: 'handled' }), 'GO'),
  at('a guarded forbidding lets through', forbidding({ cond: 'no' }), 'GO'),
];

exports.conflicts = [
  at('two regions move at once', regions(flip('GO'), flip('GO')), 'GO', 'GO'),
  at('one region moves alone', regions(flip('A'), flip('B')), 'B', 'A'),
  at('a region that leaves the parallel state preempts an ancestor', {
    initial: 'p', states: { p: { type: 'parallel', on: { GO: 'r' }, states: { one: { initial: 'a', states: { a: { on: { GO: '#out' } } } }, two: flip('X') } }, out: { id: 'out' }, r: {} } }, 'GO'),
  at('a targetless transition in a region preempts an ancestor there', {
    initial: 'p', states: { p: { type: 'parallel', on: { GO: 'r' }, states: { one: { on: { GO: { actions: 'here' } } }, two: {} } }, r: {} } }, 'GO'),
  at('both regions leave: the first in the document wins', {
    initial: 'p', states: { p: { type: 'parallel', states: { one: { on: { GO: '#m.r' } }, two: { on: { GO: '#m.s' } } } }, r: {}, s: {} } }, 'GO'),
  at('regions act in document order whoever moved last', regions(
    { initial: 'x', states: { x: { on: { GO: { actions: 'first acts' }, A: 'x' } } } },
    { initial: 'x', states: { x: { on: { GO: { actions: 'second acts' }, B: 'x' } } } }), 'GO', 'B', 'GO', 'A', 'GO'),
  at('a transition into another region restarts what it leaves', regions(
    { initial: 'x', states: { x: { on: { GO: '#target' } }, y: {} } },
    { initial: 'x', states: { x: { on: { MOVE: 'y' } }, y: {}, z: { id: 'target' } } }), 'MOVE', 'GO'),
  at('several targets in several regions', {
    initial: 'a', states: { a: { on: { GO: { target: ['#one2', '#two2'] } } }, p: { type: 'parallel', states: {
      one: { initial: 'one1', states: { one1: {}, one2: { id: 'one2' } } }, two: { initial: 'two1', states: { two1: {}, two2: { id: 'two2' } } } } } } }, 'GO'),
];

const inner = (transition) => ({ initial: 'p', states: { p: { initial: 'a', on: transition, states: { a: { on: { IN: 'b' } }, b: {} } }, q: {} } });
exports.domain = [
  at('an external self transition re-enters', inner({ GO: 'p' }), 'IN', 'GO'),
  at('an external transition to a child re-enters', inner({ GO: { target: '.b', internal: false } }), 'GO'),
  at('an internal transition to a child stays', inner({ GO: '.b' }), 'GO'),
  at('an internal transition to the active child', inner({ GO: '.a' }), 'GO'),
  at('internal true wins over a plain target', inner({ GO: { target: 'p', internal: true } }), 'IN', 'GO'),
  at('an internal self transition in the initial child', inner({ GO: { target: 'p', internal: true } }), 'GO'),
  at('a self transition by id', { initial: 'a', states: { a: { id: 'it', on: { GO: '#it' } } } }, 'GO'),
  at('a targetless transition never exits', inner({ GO: { actions: 'acted' } }), 'IN', 'GO'),
  at('a child leads to its parent', { initial: 'p', states: { p: { initial: 'a', id: 'p', states: { a: { on: { IN: 'b' } }, b: { on: { GO: '#p' } } } } } }, 'IN', 'GO'),
  at('the root re-enters itself', { initial: 'a', on: { GO: '#m' }, states: { a: { on: { IN: 'b' } }, b: {} } }, 'IN', 'GO'),
  at('the root to its child, external', { initial: 'a', on: { GO: 'b' }, states: { a: {}, b: {} } }, 'GO'),
  at('the root to its child, internal', { initial: 'a', on: { GO: '.b' }, states: { a: {}, b: {} } }, 'GO'),
  at('a parallel state re-enters all its regions', { initial: 'p', states: { p: { type: 'parallel', on: { GO: 'p' }, states: { one: flip('A'), two: flip('B') } } } }, 'A', 'GO'),
  at('a parallel state to a state in a region, internal', { initial: 'p', states: { p: { type: 'parallel', on: { GO: '.one.y' }, states: { one: flip('A'), two: flip('B') } } } }, 'B', 'GO'),
  at('between cousins only the way up to their ancestor is left', {
    initial: 'p', states: { p: { initial: 'q', states: { q: { initial: 'a', states: { a: { on: { GO: '#far' } } } }, r: { initial: 'c', states: { c: {}, d: { id: 'far' } } } } } } }, 'GO'),
];

exports.targets = [
  at('a sibling by key', abc({ on: { GO: 'c' } }), 'GO'),
  at('its own key is itself', abc({ on: { GO: 'a' } }), 'GO'),
  at('a dotted path from the parent', { initial: 'a', states: { a: { on: { GO: 'p.y' } }, p: flip('X') } }, 'GO'),
  at('an id', { initial: 'a', states: { a: { on: { GO: '#there' } }, p: { initial: 'x', states: { x: {}, y: { id: 'there' } } } } }, 'GO'),
  at('an id with a path', { initial: 'a', states: { a: { on: { GO: '#p.y' } }, p: { id: 'p', initial: 'x', states: { x: {}, y: {} } } } }, 'GO'),
  at('the default id of a state', { initial: 'a', states: { a: { on: { GO: '#m.p.y' } }, p: { initial: 'x', states: { x: {}, y: {} } } } }, 'GO'),
  at('a child with a delimiter of its own', { delimiter: '/', initial: 'a', states: { a: { on: { GO: 'p/y' } }, p: { initial: 'x', states: { x: {}, y: {} } } } }, 'GO'),
  at('an initial state further down', { initial: 'a', states: { a: { on: { GO: 'p' } }, p: { initial: '#deep', states: { q: { initial: 'x', states: { x: {}, y: { id: 'deep' } } } } } } }, 'GO'),
  at('a list of one target', abc({ on: { GO: [{ target: ['b'] }] } }), 'GO'),
];

exports.actions = [
  at('exits, transition actions, entries', { initial: 'p', states: { p: { initial: 'a', states: { a: { on: { GO: { target: '#m.q.b', actions: ['one', 'two'] } } } } }, q: { initial: 'a', states: { a: {}, b: {} } } } }, 'GO'),
  at('each action sees the context left by the one before', {
    context: { n: 0 }, initial: 'a', states: { a: { on: { GO: { target: 'b', actions: ['pick:n', 'inc:n', 'pick:n'] } } }, b: { entry: ['inc:n', 'pick:n'] } } }, 'GO'),
  at('an assign in an exit action', { context: { n: 0 }, initial: 'a', states: { a: { exit: 'inc:n', on: { GO: { target: 'b', actions: 'pick:n' } } }, b: {} } }, 'GO'),
  at('the initial entry assigns', { context: { n: 0 }, entry: 'inc:n', initial: 'a', states: { a: { entry: ['inc:n', 'see:e'] } } }),
  at('entry actions see the event', { context: {}, initial: 'a', states: { a: { exit: 'see:x', on: { GO: 'b' } }, b: { entry: 'see:e' } } }, 'GO'),
  at('regions exit in reverse and enter in order', {
    initial: 'a', states: { a: { on: { GO: 'p' } }, p: { type: 'parallel', on: { BACK: 'a' }, states: { one: flip('X'), two: flip('X') } } } }, 'GO', 'BACK'),
  at('actions of both regions', { context: { n: 0 }, type: 'parallel', states: {
    one: { initial: 'x', states: { x: { exit: 'inc:n', on: { GO: { target: 'y', actions: 'pick:n' } } }, y: { entry: 'one in' } } },
    two: { initial: 'x', states: { x: { exit: 'inc:n', on: { GO: { target: 'y', actions: 'pick:n' } } }, y: { entry: 'two in' } } } } }, 'GO'),
];

exports.always = [
  at('it is taken at once', { initial: 'a', states: { a: { always: 'b' }, b: {} } }),
  at('it is taken after an event', { initial: 'a', states: { a: { on: { GO: 'b' } }, b: { always: 'c' }, c: {} } }, 'GO'),
  at('a chain of them', { initial: 'a', states: { a: { on: { GO: 'b' } }, b: { always: 'c' }, c: { always: [{ target: 'a', cond: 'no' }, { target: 'd' }] }, d: {} } }, 'GO'),
  at('it waits for its guard', { context: { n: 0 }, initial: 'a', states: { a: { on: { GO: { actions: 'inc:n' } }, always: { target: 'b', cond: 'yes', in: '#never' } }, b: {}, never: { id: 'never' } } }, 'GO'),
  at('it is taken once the context allows', { context: { n: 0 }, initial: 'a', states: { a: { entry: 'set:n:', always: { target: 'b', cond: 'zero:n' } }, b: {} } }),
  at('it goes before a raised event', { initial: 'a', states: { a: { on: { GO: 'b' } }, b: { entry: 'raise:R', always: 'c', on: { R: 'd' } }, c: { on: { R: 'e' } }, d: {}, e: {} } }, 'GO'),
  at('its actions see the event that began', { context: {}, initial: 'a', states: { a: { on: { GO: 'b' } }, b: { always: { target: 'c', actions: 'see:e' } }, c: {} } }, 'GO'),
  at('its guard sees the event that began', { initial: 'a', states: { a: { on: { GO: 'b' } }, b: { always: { target: 'c', cond: 'event:GO' } }, c: {} } }, 'GO'),
  at('an ancestor has it', { initial: 'p', states: { p: { initial: 'a', always: { target: 'q', in: '#b' }, states: { a: { on: { GO: 'b' } }, b: { id: 'b' } } }, q: {} } }, 'GO'),
  at('it runs in every region', { type: 'parallel', states: {
    one: { initial: 'x', states: { x: { on: { GO: 'y' } }, y: { always: 'z' }, z: {} } }, two: { initial: 'x', states: { x: { on: { GO: 'y' } }, y: { always: 'z' }, z: {} } } } }, 'GO'),
  at('the old way with an empty event type', { initial: 'a', states: { a: { on: { '': 'b' } }, b: {} } }),
];

exports.raised = [
  at('a raised event is taken at once', { initial: 'a', states: { a: { on: { GO: { actions: 'raise:R' }, R: 'b' } }, b: {} } }, 'GO'),
  at('raised events come in the order they were raised', { context: {}, initial: 'a', states: { a: { on: { GO: { actions: ['raise:R', 'raise:S'] }, R: { actions: 'r' }, S: { actions: 's' } } } } }, 'GO'),
  at('raised events are first in, first out', { initial: 'a', states: { a: { on: { GO: { actions: ['raise:R', 'raise:S'] }, R: { actions: ['r', 'raise:T'] }, S: { actions: 's' }, T: { actions: 't' } } } } }, 'GO'),
  at('an entry action raises', { initial: 'a', states: { a: { entry: 'raise:R', on: { R: 'b' } }, b: {} } }),
  at('a raised event goes before a sent one', { initial: 'a', states: { a: { on: { GO: { actions: ['send:S', 'raise:R'] }, R: { actions: 'r' }, S: { actions: 's' } } } } }, 'GO'),
  at('a raised event nobody handles', { initial: 'a', states: { a: { on: { GO: { actions: ['raise:R', 'after'] } } } } }, 'GO'),
  at('a raised event is seen by the other region', { type: 'parallel', states: {
    one: { initial: 'x', states: { x: { on: { GO: { target: 'y', actions: 'raise:R' } } }, y: {} } }, two: { initial: 'x', states: { x: { on: { R: 'y' } }, y: {} } } } }, 'GO'),
];

exports.timers = [
  at('after a delay', { initial: 'a', states: { a: { after: { 10: 'b' } }, b: {} } }, 9, 1),
  at('leaving cancels it', { initial: 'a', states: { a: { on: { GO: 'b' }, after: { 10: 'c' } }, b: {}, c: {} } }, 5, 'GO', 10),
  at('re-entering starts it again', { initial: 'a', states: { a: { on: { GO: 'a' }, after: { 10: 'c' } }, c: {} } }, 5, 'GO', 5, 5),
  at('several delays', { initial: 'a', states: { a: { after: { 20: { actions: 'twenty' }, 10: { actions: 'ten' } } } } }, 10, 10),
  at('a list of delays', { initial: 'a', states: { a: { after: [{ delay: 10, target: 'b', cond: 'no' }, { delay: 20, target: 'c' }] }, b: {}, c: {} } }, 10, 10),
  at('a named delay', { initial: 'a', states: { a: { after: { soon: 'b' } }, b: {} } }, 5),
  at('a failed guard spends it', { context: { n: 1 }, initial: 'a', states: { a: { on: { ZERO: { actions: 'set:n:' } }, after: { 10: { target: 'b', cond: 'zero:n' } } }, b: {} } }, 10, 'ZERO', 10),
  at('candidates after one delay', { initial: 'a', states: { a: { after: { 10: [{ target: 'b', cond: 'no' }, { target: 'c' }] } }, b: {}, c: {} } }, 10),
  at('in two regions', { type: 'parallel', states: { one: { initial: 'x', states: { x: { after: { 10: 'y' } }, y: {} } }, two: { initial: 'x', states: { x: { after: { 10: 'y' } }, y: {} } } } }, 10),
  at('on a compound state', { initial: 'p', states: { p: { initial: 'x', after: { 10: 'q' }, states: { x: { on: { GO: 'y' } }, y: {} } }, q: {} } }, 5, 'GO', 5),
  at('a delayed send', { initial: 'a', states: { a: { entry: 'send:GO:10', on: { GO: 'b' } }, b: {} } }, 9, 1),
  at('a delayed send is cancelled', { initial: 'a', states: { a: { entry: 'send:GO:10', on: { STOP: { actions: 'cancel:GO' }, GO: 'b' } }, b: {} } }, 5, 'STOP', 10),
  at('a delayed send outlives its state', { initial: 'a', states: { a: { entry: 'send:GO:10', on: { NEXT: 'b' } }, b: { on: { GO: 'c' } }, c: {} } }, 'NEXT', 10),
  at('a send without a delay', { initial: 'a', states: { a: { entry: ['send:GO', 'entered'], on: { GO: 'b' } }, b: {} } }),
];

const finishing = (data) => ({ initial: 'x', states: { x: { on: { GO: 'f' } }, f: { type: 'final', ...data } } });
exports.done = [
  at('a compound state is done', { initial: 'p', states: { p: { ...finishing(), onDone: 'q' }, q: {} } }, 'GO'),
  at('done carries the data', { context: { n: 3 }, initial: 'p', states: { p: { ...finishing({ data: { n: '$ctx:n' } }), onDone: { target: 'q', actions: 'see:e' } }, q: {} } }, 'GO'),
  at('a parallel state is done when all its regions are', { initial: 'p', states: { p: { type: 'parallel', onDone: 'q', states: { one: { initial: 'x', states: { x: { on: { A: 'f' } }, f: { type: 'final' } } }, two: { initial: 'x', states: { x: { on: { B: 'f' } }, f: { type: 'final' } } } } }, q: {} } }, 'A', 'B'),
  at('both regions finish at once', { initial: 'p', states: { p: { type: 'parallel', onDone: { target: 'q', actions: 'done' }, states: { one: finishing(), two: finishing() } }, q: {} } }, 'GO'),
  at('nested parallel states', { initial: 'p', states: { p: { type: 'parallel', onDone: 'q', states: { one: finishing(), two: { type: 'parallel', states: { three: finishing(), four: finishing() } } } }, q: {} } }, 'GO'),
  at('a region is done alone', { type: 'parallel', states: { one: { ...finishing(), onDone: { actions: 'one done' } }, two: flip('X') } }, 'GO'),
  at('the machine is done', { ...finishing({ data: { ok: true } }) }, 'GO', 'GO'),
  at('the machine is done with computed data', { context: { n: 0 }, initial: 'x', states: { x: { on: { GO: { target: 'f', actions: 'inc:n' } } }, f: { type: 'final', data: { n: '$ctx:n' } } } }, 'GO'),
  at('a parallel machine is done', { type: 'parallel', states: { one: finishing(), two: finishing() } }, 'GO'),
  at('an inner final state does not end the machine', { initial: 'p', states: { p: finishing() } }, 'GO'),
  at('exit actions run when the machine is done', { initial: 'x', exit: 'bye', states: { x: { on: { GO: 'f' } }, f: { type: 'final', exit: 'final left' } } }, 'GO'),
  at('a machine that starts done', { initial: 'f', states: { f: { type: 'final' } } }),
  at('done goes before what was sent', { initial: 'p', states: { p: { initial: 'x', onDone: 'q', on: { S: 'r' }, states: { x: { on: { GO: { target: 'f', actions: 'send:S' } } }, f: { type: 'final' } } }, q: { on: { S: 's' } }, r: {}, s: {} } }, 'GO'),
  at('a raised event behind a done event', { initial: 'p', states: { p: { initial: 'x', onDone: 'q', on: { R: 'r' }, states: { x: { on: { GO: { target: 'f', actions: 'raise:R' } } }, f: { type: 'final' } } }, q: {}, r: {} } }, 'GO'),
];

const withHistory = (history) => ({ initial: 'p', states: {
  p: { initial: 'a', on: { OUT: 'out' }, states: { a: { on: { NEXT: 'b' } }, b: { initial: 'x', states: { x: { on: { NEXT: 'y' } }, y: {} } }, h: history } }, out: { on: { BACK: 'p.h' } } } });
exports.history = [
  at('shallow', withHistory({ type: 'history' }), 'NEXT', 'NEXT', 'OUT', 'BACK'),
  at('deep', withHistory({ type: 'history', history: 'deep' }), 'NEXT', 'NEXT', 'OUT', 'BACK'),
  at('history true', withHistory({ history: true }), 'NEXT', 'NEXT', 'OUT', 'BACK'),
  at('history shallow without a type', withHistory({ history: 'shallow' }), 'NEXT', 'NEXT', 'OUT', 'BACK'),
  at('never left: the initial state', { initial: 'o', states: { o: { on: { GO: 'p.h' } }, p: { initial: 'a', states: { a: {}, b: {}, h: { type: 'history' } } } } }, 'GO'),
  at('never left: the default target', { initial: 'o', states: { o: { on: { GO: 'p.h' } }, p: { initial: 'a', states: { a: {}, b: {}, h: { type: 'history', target: 'b' } } } } }, 'GO'),
  at('never left: a deep default target', { initial: 'o', states: { o: { on: { GO: 'p.h' } }, p: { initial: 'a', states: { a: {}, b: { initial: 'x', states: { x: {}, y: {} } }, h: { type: 'history', history: 'deep', target: 'b.y' } } } } }, 'GO'),
  at('of a parallel state, deep', { initial: 'p', states: { p: { type: 'parallel', on: { OUT: 'o' }, states: { one: flip('A'), two: flip('B'), h: { type: 'history', history: 'deep' } } }, o: { on: { BACK: 'p.h' } } } }, 'B', 'OUT', 'BACK'),
  at('of a parallel state, shallow', { initial: 'p', states: { p: { type: 'parallel', on: { OUT: 'o' }, states: { one: flip('A'), two: flip('B'), h: { type: 'history' } } }, o: { on: { BACK: 'p.h' } } } }, 'B', 'OUT', 'BACK'),
  at('recorded twice', withHistory({ type: 'history' }), 'OUT', 'BACK', 'NEXT', 'OUT', 'BACK'),
  at('from inside its own parent', { initial: 'p', states: { p: { initial: 'a', on: { H: 'p.h' }, states: { a: { on: { NEXT: 'b' } }, b: {}, h: { type: 'history' } } } } }, 'NEXT', 'H'),
  at('in one region', { type: 'parallel', states: { one: { initial: 'p', states: { p: { initial: 'a', on: { OUT: 'o' }, states: { a: { on: { NEXT: 'b' } }, b: {}, h: { type: 'history' } } }, o: { on: { BACK: 'p.h' } } } }, two: flip('X') } }, 'NEXT', 'X', 'OUT', 'X', 'BACK'),
];

exports.invoke = [
  at('in the initial state', { initial: 'a', states: { a: { invoke: { src: 'one', id: 'c' }, entry: 'own entry' } } }),
  at('it starts after the entry actions', { initial: 'o', states: { o: { on: { BEGIN: 'a' } }, a: { invoke: { src: 'one', id: 'c' }, entry: 'own entry', on: { GO: 'b' } }, b: {} } }, 'BEGIN', 'GO'),
  at('it stops on exit', { initial: 'o', states: { o: { on: { BEGIN: 'a' } }, a: { invoke: { src: 'one', id: 'c' }, exit: 'own exit', on: { GO: { target: 'b', actions: 'going' } } }, b: {} } }, 'BEGIN', 'GO'),
  at('re-entering starts it again', { initial: 'o', states: { o: { on: { BEGIN: 'a' } }, a: { invoke: { src: 'one', id: 'c' }, on: { GO: 'a' } } } }, 'BEGIN', 'GO'),
  at('an internal transition leaves it running', { initial: 'o', states: { o: { on: { BEGIN: 'p' } }, p: { initial: 'a', invoke: { src: 'one', id: 'c' }, on: { GO: '.b' }, states: { a: {}, b: {} } } } }, 'BEGIN', 'GO'),
  at('on the root', { invoke: { src: 'one', id: 'c' }, initial: 'a', states: { a: { on: { GO: 'b' } }, b: { type: 'final' } } }, 'GO'),
  at('several on one state', { initial: 'o', states: { o: { on: { BEGIN: 'a' } }, a: { invoke: [{ src: 'one', id: 'c' }, { src: 'two', id: 'd' }], on: { GO: 'b' } }, b: {} } }, 'BEGIN', 'GO'),
  at('its done event', { context: {}, initial: 'o', states: { o: { on: { BEGIN: 'a' } },  a: { invoke: { src: 'one', id: 'c', onDone: { target: 'b', actions: 'see:e' } } }, b: {} } }, 'BEGIN', { type: 'done.invoke.c', data: 1 }),
  at('its done event by default id', { initial: 'o', states: { o: { on: { BEGIN: 'a' } }, a: { invoke: { src: 'one', onDone: 'b' } }, b: {} } }, 'BEGIN', { type: 'done.invoke.m.a:invocation[0]' }),
  at('its error event', { initial: 'o', states: { o: { on: { BEGIN: 'a' } }, a: { invoke: { src: 'one', id: 'c', onError: 'b' } }, b: {} } }, 'BEGIN', { type: 'error.platform.c', data: 'bad' }),
  at('entered and left in one macrostep', { initial: 'o', states: { o: { on: { BEGIN: 'a' } }, a: { on: { GO: 'b' } }, b: { invoke: { src: 'one', id: 'c' }, always: 'd' }, d: {} } }, 'BEGIN', 'GO'),
  at('it forwards automatically', { initial: 'o', states: { o: { on: { BEGIN: 'a' } }, a: { invoke: { src: 'one', id: 'c', autoForward: true }, on: { GO: { actions: 'handled' } } } } }, 'BEGIN', 'GO', 'OTHER'),
];

exports.inside = [
  at('in by id', { type: 'parallel', states: { one: flip('A'), two: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: '#m.one.y' } } }, y: {} } } } }, 'GO', 'A', 'GO'),
  at('in by path, read from the grandparent', { type: 'parallel', states: { one: flip('A'), two: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: 'one.y' } } }, y: {} } } } }, 'GO', 'A', 'GO'),
  at('in by state value', { type: 'parallel', states: { one: flip('A'), two: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: { one: 'y' } } } }, y: {} } } } }, 'GO', 'A', 'GO'),
  at('in together with a guard', { type: 'parallel', states: { one: flip('A'), two: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: '#m.one.x', cond: 'no' } } }, y: {} } } } }, 'GO'),
];
