// The cases of a machine alone, by topic: a name, a machine (JSON), and what happens to it: events, and milliseconds that pass.
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
  at('a guard of the ancestor is asked after all of the inner state', {
    context: { n: 1 }, initial: 'p', on: { GO: { actions: 'root' } }, states: { p: { initial: 'a', on: { GO: { actions: 'outer', cond: 'zero:n' } }, states: { a: { on: { GO: { actions: 'inner', cond: 'zero:n' } } } } } } }, 'GO'),
  at('three levels, the middle one has it', {
    initial: 'p', on: { GO: { actions: 'root' } }, states: { p: { initial: 'q', on: { GO: { actions: 'middle' } }, states: { q: { initial: 'a', states: { a: { on: { OTHER: { actions: 'inner' } } } } } } } } }, 'GO', 'OTHER'),
  at('the first of several without guards', abc({ on: { GO: [{ target: 'b' }, { target: 'c' }] } }), 'GO'),
  at('a guard that throws', abc({ on: { GO: { target: 'b', cond: 'throws' } } }), 'GO', 'GO'),
  at('a later candidate without a target', abc({ on: { GO: [{ target: 'b', cond: 'no' }, { actions: 'stayed' }] } }), 'GO'),
  at('a star with guards', abc({ on: { '*': [{ target: 'b', cond: 'event:X' }, { target: 'c' }] } }), 'X'),
  at('a star with guards, the second', abc({ on: { '*': [{ target: 'b', cond: 'event:X' }, { target: 'c' }] } }), 'Y'),
  at('a star after a failed exact one', abc({ on: { GO: { target: 'b', cond: 'no' }, '*': 'c' } }), 'GO'),
  at('a star takes a done event', { initial: 'p', states: { p: { initial: 'x', states: { x: { type: 'final' } }, on: { '*': 'q' } }, q: {} } }),
  at('a star takes a timer', { initial: 'a', states: { a: { after: { 10: { target: 'c', cond: 'no' } }, on: { '*': 'b' } }, b: {}, c: {} } }, 10),
  at('a prefix with a star matches the prefix itself', abc({ on: { 'x.*': 'b' } }), 'x'),
  at('a prefix with a star matches no longer word', abc({ on: { 'x.*': 'b' } }), 'xy'),
  at('an event type with dots', abc({ on: { 'x.y': 'b', x: 'c' } }), 'x.y'),
  at('an event with a payload', abc({ on: { GO: { target: 'b', actions: 'data:d' } } }, { context: {} }), { type: 'GO', data: { deep: [1, 2] } }),
  at('the guard sees the context before the actions', { context: { n: 0 }, initial: 'a', states: { a: { on: { GO: [{ actions: 'inc:n', cond: 'zero:n' }, { target: 'b' }] } }, b: {} } }, 'GO', 'GO'),
  at('a root transition', { initial: 'a', on: { GO: '.b' }, states: { a: {}, b: {} } }, 'GO'),
  at('an atomic machine', { on: { GO: { actions: 'acted' } } }, 'GO', 'NO'),
];

const forbidding = (value) => ({ initial: 'p', states: { p: { initial: 'a', on: { GO: 'q' }, states: { a: { on: { GO: value } } } }, q: {} } });
exports.forbidden = [
  at('an empty dict forbids', forbidding({}), 'GO'),
  at('an empty list does not forbid', forbidding([]), 'GO'),
  at('actions without a target handle the event', forbidding({ actions: 'handled' }), 'GO'),
  at('a guarded forbidding lets through', forbidding({ cond: 'no' }), 'GO'),
  at('an empty dict forbids in one region only', { type: 'parallel', on: { GO: { actions: 'root' } }, states: { one: { on: { GO: {} } }, two: {} } }, 'GO'),
  at('forbidding in both regions', { type: 'parallel', on: { GO: { actions: 'root' } }, states: { one: { on: { GO: {} } }, two: { on: { GO: {} } } } }, 'GO'),
  at('a forbidding star', { initial: 'p', states: { p: { initial: 'a', on: { GO: 'q' }, states: { a: { on: { '*': {} } } } }, q: {} } }, 'GO'),
  at('forbidding one event leaves others', { initial: 'p', states: { p: { initial: 'a', on: { GO: 'q', TO: 'q' }, states: { a: { on: { GO: {} } } } }, q: {} } }, 'GO', 'TO'),
  at('a list with an empty dict forbids', forbidding([{}]), 'GO'),
  at('a list whose guarded dict fails', forbidding([{ cond: 'no' }, {}]), 'GO'),
  at('internal without a target', forbidding({ internal: true }), 'GO'),
  at('forbidding a done event', { initial: 'p', on: { 'done.state.m.p': '.q' }, states: { p: { initial: 'x', onDone: {}, states: { x: { type: 'final' } } }, q: {} } }),
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
  at('an inner transition preempts the outer in the same branch', {
    type: 'parallel', on: { GO: { actions: 'root' } }, states: { one: { initial: 'x', states: { x: { on: { GO: 'y' } }, y: {} } }, two: { initial: 'x', states: { x: { on: { GO: 'y' } }, y: {} } } } }, 'GO'),
  at('one region moves inside, the ancestor would leave', {
    initial: 'p', states: { p: { type: 'parallel', on: { GO: 'r' }, states: { one: flip('GO'), two: { initial: 'x', states: { x: {} } } } }, r: {} } }, 'GO'),
  at('three regions, two react', regions(flip('A'), flip('A'), { states: { first: flip('A'), second: flip('B'), third: flip('A') } }), 'A', 'B', 'A'),
  at('nested parallel states move in all leaves', { type: 'parallel', states: { one: flip('GO'), two: { type: 'parallel', states: { three: flip('GO'), four: flip('GO') } } } }, 'GO', 'GO'),
  at('a guard sees the context before the other region acts', { context: { n: 0 }, type: 'parallel', states: {
    one: { initial: 'x', states: { x: { on: { GO: { target: 'y', actions: 'inc:n' } } }, y: {} } },
    two: { initial: 'x', states: { x: { on: { GO: { target: 'y', cond: 'zero:n' } } }, y: {} } } } }, 'GO'),
  at('a region leaves while another stays in itself', {
    initial: 'p', states: { p: { type: 'parallel', states: { one: { on: { GO: '#m.r' } }, two: { initial: 'x', states: { x: { on: { GO: { actions: 'stayed' } } } } } } }, r: {} } }, 'GO'),
  at('the second region leaves while the first moves inside', {
    initial: 'p', states: { p: { type: 'parallel', states: { one: flip('GO'), two: { on: { GO: '#m.r' } } } }, r: {} } }, 'GO'),
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
  at('a sibling in the same parent', inner({}), 'IN'),
  at('an internal transition to a grandchild', { initial: 'p', states: { p: { initial: 'a', on: { GO: '.b.y' }, states: { a: {}, b: flip('X') } } } }, 'GO'),
  at('an external transition to a grandchild', { initial: 'p', states: { p: { initial: 'a', on: { GO: { target: '.b.y', internal: false } }, states: { a: {}, b: flip('X') } } } }, 'GO'),
  at('an id below the source is external', { initial: 'p', states: { p: { initial: 'a', on: { GO: '#deep' }, states: { a: {}, b: { id: 'deep' } } } } }, 'GO'),
  at('an id below the source, internal', { initial: 'p', states: { p: { initial: 'a', on: { GO: { target: '#deep', internal: true } }, states: { a: {}, b: { id: 'deep' } } } } }, 'GO'),
  at('a grandchild leads to its grandparent', { initial: 'p', states: { p: { id: 'p', initial: 'q', states: { q: { initial: 'a', states: { a: { on: { GO: '#p' } } } } } } } }, 'GO'),
  at('an internal self transition of an atomic state', { initial: 'a', states: { a: { on: { GO: { target: 'a', internal: true, actions: 'acted' } } } } }, 'GO'),
  at('leaving a parallel state for a sibling', { initial: 'p', states: { p: { type: 'parallel', on: { GO: 'q' }, states: { one: flip('A'), two: flip('B') } }, q: { on: { BACK: 'p' } } } }, 'A', 'GO', 'BACK'),
  at('into one region of a parallel state enters all', { initial: 'o', states: { o: { on: { GO: 'p.one.y' } }, p: { type: 'parallel', states: { one: flip('A'), two: flip('B') } } } }, 'GO'),
  at('a region re-enters itself', { type: 'parallel', states: { one: { id: 'one', initial: 'x', on: { GO: '#one' }, states: { x: { on: { A: 'y' } }, y: {} } }, two: flip('B') } }, 'A', 'B', 'GO'),
  at('the root parallel re-enters itself', { type: 'parallel', on: { GO: '#m' }, states: { one: flip('A'), two: flip('B') } }, 'A', 'GO'),
  at('an internal target in the list makes all internal', { initial: 'p', states: { p: { type: 'parallel', on: { GO: { target: ['.one.y', '.two.y'] } }, states: { one: flip('A'), two: flip('B') } } } }, 'GO'),
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
  at('the whole string is an id first', { initial: 'a', states: { a: { on: { GO: '#p.y' } }, p: { id: 'p', initial: 'x', states: { x: {}, y: {} } }, q: { id: 'p.y' } } }, 'GO'),
  at('a key with a dot', { initial: 'a', states: { a: { on: { GO: 'b.c' } }, 'b.c': {} } }, 'GO'),
  at('an initial path further down', { initial: 'p.y', states: { p: flip('X') } }),
  at('an initial state by key in three levels', { initial: 'p', states: { p: { initial: 'q', states: { q: { initial: 'a', states: { a: {} } } } } } }),
  at('a machine with a key and no id', { key: 'named', initial: 'a', states: { a: { on: { GO: '#m.b' } }, b: {} } }, 'GO'),
  at('a target from a deep state to its uncle', { initial: 'p', states: { p: { initial: 'q', states: { q: { initial: 'a', states: { a: { on: { GO: '#m.p.r' } } } }, r: {} } } } }, 'GO'),
  at('a target that does not resolve', abc({ on: { GO: 'nowhere' } }), 'GO'),
  at('an id that nobody has', abc({ on: { GO: '#nobody' } }), 'GO'),
  at('an initial state that is not there', { initial: 'nowhere', states: { a: {} } }),
  at('two states with one id', { initial: 'a', states: { a: { id: 'same' }, b: { id: 'same' } } }),
  at('a compound state without an initial state', { initial: 'p', states: { p: { states: { a: {}, b: {} } } } }),
  at('states below a final state', { initial: 'f', states: { f: { type: 'final', initial: 'x', states: { x: {} } } } }),
  at('a history state as the initial state', { initial: 'h', states: { a: {}, h: { type: 'history', target: 'a' } } }),
  at('targets in the same region', { initial: 'a', states: { a: { on: { GO: { target: ['b', 'c'] } } }, b: {}, c: {} } }, 'GO'),
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
  at('an action with parameters', { initial: 'a', states: { a: { on: { GO: { actions: [{ type: 'greet', name: 'Ada', times: 2 }, 'plain'] } } } } }, 'GO'),
  at('several assigns, then an action', { context: { n: 0 }, initial: 'a', states: { a: { on: { GO: { actions: ['inc:n', 'inc:n', 'pick:n', 'set:k:v'] } } } } }, 'GO'),
  at('pure returns several actions', { context: { n: 0 }, initial: 'a', states: { a: { on: { GO: { actions: ['pure:x+inc:n+y', 'pick:n'] } } } } }, 'GO'),
  at('pure in an entry action raises', { initial: 'a', states: { a: { on: { GO: 'b' } }, b: { entry: 'pure:x+raise:R', on: { R: 'c' } }, c: {} } }, 'GO'),
  at('a log in its place', { initial: 'a', states: { a: { on: { GO: { actions: ['before', 'log:text', 'after'] } } } } }, 'GO'),
  at('an exit action sees the event', { context: {}, initial: 'p', states: { p: { initial: 'a', exit: 'see:x', states: { a: { on: { GO: '#m.q' } } } }, q: { entry: 'see:e' } } }, 'GO'),
  at('the context of a choose in the other region', { context: { n: 0 }, type: 'parallel', states: {
    one: { initial: 'x', states: { x: { on: { GO: { actions: 'inc:n' } } } } }, two: { initial: 'x', states: { x: { on: { GO: { actions: 'pick:n' } } } } } } }, 'GO'),
  at('entry actions of a machine that is parallel', { entry: 'root', type: 'parallel', states: { one: { entry: 'one in' }, two: { entry: 'two in', initial: 'x', states: { x: { entry: 'x in' } } } } }),
  at('an assign keeps other keys', { context: { n: 1, k: 'old', o: { p: 1 } }, initial: 'a', states: { a: { on: { GO: { actions: 'set:k:new' } } } } }, 'GO'),
  at('an assign adds a key', { context: { n: 1 }, initial: 'a', states: { a: { on: { GO: { actions: 'set:k:new' } } } } }, 'GO'),
  at('actions of an external self transition', { context: { n: 0 }, initial: 'a', states: { a: { entry: 'inc:n', exit: 'pick:n', on: { GO: { target: 'a', actions: 'acted' } } } } }, 'GO'),
  at('raised and assigned in one list', { context: { n: 0 }, initial: 'a', states: { a: { on: { GO: { actions: ['inc:n', 'raise:R', 'inc:n'] }, R: { actions: 'pick:n' } } } } }, 'GO'),
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
  at('a targetless one with a guard', { context: { n: 0 }, initial: 'a', states: { a: { always: { actions: ['inc:n', 'once'], cond: 'zero:n' } } } }),
  at('an inner one goes before an outer one', { initial: 'p', states: { p: { initial: 'a', always: { target: 'q', in: '#b' }, states: { a: { always: 'b' }, b: { id: 'b', always: 'c' }, c: {} } }, q: {} } }),
  at('it leads into a final state', { initial: 'p', states: { p: { initial: 'a', onDone: 'q', states: { a: { always: 'f' }, f: { type: 'final' } } }, q: {} } }),
  at('it ends the machine', { initial: 'a', states: { a: { on: { GO: 'b' } }, b: { always: 'f' }, f: { type: 'final', data: { ok: 1 } } } }, 'GO'),
  at('several candidates', { context: { n: 1 }, initial: 'a', states: { a: { always: [{ target: 'b', cond: 'zero:n' }, { target: 'c', cond: 'yes' }, { target: 'd' }] }, b: {}, c: {}, d: {} } }),
  at('it is taken after a raised event', { initial: 'a', states: { a: { on: { GO: { actions: 'raise:R' }, R: 'b' } }, b: { always: 'c' }, c: {} } }, 'GO'),
  at('it leaves a parallel state', { initial: 'p', states: { p: { type: 'parallel', always: { target: 'q', in: '#done' }, states: { one: { initial: 'x', states: { x: { on: { GO: 'y' } }, y: { id: 'done' } } }, two: flip('X') } }, q: {} } }, 'X', 'GO'),
  at('one region waits for the other', { type: 'parallel', states: { one: { initial: 'x', states: { x: { on: { GO: 'y' } }, y: { id: 'y' } } }, two: { initial: 'x', states: { x: { always: { target: 'y', in: '#y' } }, y: {} } } } }, 'GO'),
  at('the root has it', { context: { n: 1 }, initial: 'a', always: { target: '.b', cond: 'zero:n' }, states: { a: { on: { ZERO: { actions: 'set:n:' } } }, b: { entry: 'set:n:1' } } }, 'ZERO'),
  at('it never ends', { initial: 'a', states: { a: { on: { GO: 'b' } }, b: { always: 'c' }, c: { always: 'b' } } }, 'GO'),
  at('it goes before a done event', { initial: 'p', states: { p: { initial: 'x', onDone: 'late', always: { target: 'early', in: '#f' }, states: { x: { on: { GO: 'f' } }, f: { id: 'f', type: 'final' } } }, early: {}, late: {} } }, 'GO'),
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
  at('a chain of them', { initial: 'a', states: { a: { on: { GO: { target: 'b', actions: 'raise:R' } } }, b: { on: { R: { target: 'c', actions: 'raise:S' } } }, c: { on: { S: 'd' } }, d: {} } }, 'GO'),
  at('exit and entry actions raise', { initial: 'a', states: { a: { exit: 'raise:X', on: { GO: { target: 'b', actions: 'raise:T' } } }, b: { entry: 'raise:E', on: { X: { actions: 'x' }, T: { actions: 't' }, E: { actions: 'e' } } } } }, 'GO'),
  at('it is taken in the state after all regions moved', { type: 'parallel', states: {
    one: { initial: 'x', states: { x: { on: { GO: { target: 'y', actions: 'raise:R' }, R: { actions: 'too early' } } }, y: { on: { R: { actions: 'in time' } } } } },
    two: { initial: 'x', states: { x: { on: { GO: 'y', R: { actions: 'too early' } } }, y: { on: { R: { actions: 'in time' } } } } } } }, 'GO'),
  at('it ends the machine, the next is lost', { initial: 'a', states: { a: { on: { GO: { actions: ['raise:F', 'raise:R'] }, F: 'f', R: { actions: 'never' } } }, f: { type: 'final' } } }, 'GO'),
  at('the actions see the raised event', { context: {}, initial: 'a', states: { a: { on: { GO: { actions: ['raise:R', 'see:g'] }, R: { actions: 'see:r' } } } } }, 'GO'),
  at('a guard on a raised event', { context: { n: 0 }, initial: 'a', states: { a: { on: { GO: { actions: ['raise:R', 'inc:n'] }, R: { target: 'b', cond: 'zero:n' } } }, b: {} } }, 'GO'),
  at('two regions raise the same event', { context: {}, type: 'parallel', states: {
    one: { initial: 'x', states: { x: { on: { GO: { actions: 'raise:R' } } } } }, two: { initial: 'x', states: { x: { on: { GO: { actions: 'raise:R' } } } } },
    three: { initial: 'x', states: { x: { on: { R: { actions: 'heard' } } } } } } }, 'GO'),
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
  at('no delay is still a timer', { initial: 'a', states: { a: { after: { 0: 'b' } }, b: {} } }, 0),
  at('a computed delay', { initial: 'a', states: { a: { after: { later: 'b' } }, b: {} } }, 6, 1),
  at('two names that are due together', { initial: 'a', states: { a: { after: { soon: { actions: 'soon' }, 5: { actions: 'five' } } } } }, 5),
  at('an internal transition keeps it running', { initial: 'p', states: { p: { initial: 'a', after: { 10: 'q' }, on: { GO: '.b' }, states: { a: {}, b: {} } }, q: {} } }, 5, 'GO', 5),
  at('one that fires cancels the other', { initial: 'a', states: { a: { after: { 10: 'b', 20: { actions: 'never' } } }, b: {} } }, 10, 10),
  at('two that are due at once, the first leaves', { initial: 'a', states: { a: { after: { 10: 'b' } }, b: { after: { 10: 'c' } }, c: {} } }, 25),
  at('the machine ends before it is due', { initial: 'a', states: { a: { on: { GO: 'f' }, after: { 10: { actions: 'never' } } }, f: { type: 'final' } } }, 'GO', 10),
  at('on the root', { initial: 'a', after: { 10: { actions: 'rang' } }, states: { a: { on: { GO: 'b' } }, b: {} } }, 5, 'GO', 5),
  at('a delayed send with a name', { initial: 'a', states: { a: { on: { GO: { actions: 'send:T:soon' }, T: 'b' } }, b: {} } }, 'GO', 5),
  at('a timer and a delayed send due together', { initial: 'a', states: { a: { entry: 'send:T:10', after: { 10: { actions: 'timer' } }, on: { T: { actions: 'sent' } } } } }, 10),
  at('its actions see its event', { context: {}, initial: 'a', states: { a: { after: { 10: { target: 'b', actions: 'see:e' } } }, b: {} } }, 10),
  at('it goes round', { context: { n: 0 }, initial: 'a', states: { a: { entry: 'inc:n', after: { 10: 'a' } } } }, 35),
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
  at('done states nest', { initial: 'p', states: { p: { initial: 'q', onDone: 'r', states: { q: { ...finishing(), onDone: 'f' }, f: { type: 'final' } } }, r: {} } }, 'GO'),
  at('an inner done does not finish the outer', { initial: 'p', states: { p: { initial: 'q', onDone: 'r', states: { q: finishing() } }, r: {} } }, 'GO'),
  at('done without onDone', { initial: 'p', states: { p: finishing() } }, 'GO', 'GO'),
  at('onDone with a guard', { context: { n: 1 }, initial: 'p', states: { p: { ...finishing(), onDone: [{ target: 'q', cond: 'zero:n' }, { target: 'r' }] }, q: {}, r: {} } }, 'GO'),
  at('onDone without a target', { initial: 'p', states: { p: { ...finishing(), onDone: { actions: 'done' } } } }, 'GO'),
  at('the done event by its name', { initial: 'p', states: { p: { ...finishing(), on: { 'done.state.m.p': 'q' } }, q: {} } }, 'GO'),
  at('the done event of an id', { initial: 'p', states: { p: { id: 'work', ...finishing(), on: { 'done.state.work': 'q' } }, q: {} } }, 'GO'),
  at('done data is computed when it happens', { context: { n: 0, d: null }, initial: 'p', states: { p: { initial: 'x', onDone: { target: 'q', actions: 'data:d' }, states: { x: { on: { GO: { target: 'f', actions: 'inc:n' } } }, f: { type: 'final', data: { n: '$ctx:n' } } } }, q: {} } }, 'GO'),
  at('done data that is constant', { context: {}, initial: 'p', states: { p: { ...finishing({ data: { a: 1, b: [2] } }), onDone: { target: 'q', actions: 'data:d' } }, q: {} } }, 'GO'),
  at('a final state is entered first', { initial: 'p', states: { p: { initial: 'f', onDone: 'q', states: { f: { type: 'final' } } }, q: {} } }),
  at('a final state with entry actions', { context: { n: 0 }, initial: 'p', states: { p: { initial: 'x', onDone: { target: 'q', actions: 'pick:n' }, states: { x: { on: { GO: 'f' } }, f: { type: 'final', entry: ['inc:n', 'ending'] } } }, q: {} } }, 'GO'),
  at('one region finishes twice', { type: 'parallel', onDone: { actions: 'all done' }, states: { one: { ...finishing(), on: { AGAIN: '.x' }, onDone: { actions: 'one done' } }, two: flip('X') } }, 'GO', 'AGAIN', 'GO'),
  at('nested parallel states finish one by one', { initial: 'p', states: { p: { type: 'parallel', onDone: 'q', states: { one: { initial: 'x', states: { x: { on: { A: 'f' } }, f: { type: 'final' } } }, two: { type: 'parallel', onDone: { actions: 'two done' }, states: { three: { initial: 'x', states: { x: { on: { B: 'f' } }, f: { type: 'final' } } }, four: { initial: 'x', states: { x: { on: { C: 'f' } }, f: { type: 'final' } } } } } } }, q: {} } }, 'B', 'A', 'C'),
  at('a final state in a region of its own', { initial: 'p', states: { p: { type: 'parallel', onDone: 'q', states: { one: { type: 'final' }, two: finishing() } }, q: {} } }, 'GO'),
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
  at('deep, never left', { initial: 'o', states: { o: { on: { GO: 'p.h' } }, p: { initial: 'a', states: { a: { initial: 'x', states: { x: {} } }, h: { type: 'history', history: 'deep' } } } } }, 'GO'),
  at('shallow enters the initial state below', { initial: 'p', states: { p: { initial: 'a', on: { OUT: 'o' }, states: { a: { on: { IN: 'b.y' } }, b: { initial: 'x', states: { x: {}, y: {} } }, h: { type: 'history' } } }, o: { on: { BACK: 'p.h' } } } }, 'IN', 'OUT', 'BACK'),
  at('deep keeps the state below', { initial: 'p', states: { p: { initial: 'a', on: { OUT: 'o' }, states: { a: { on: { IN: 'b.y' } }, b: { initial: 'x', states: { x: {}, y: {} } }, h: { type: 'history', history: 'deep' } } }, o: { on: { BACK: 'p.h' } } } }, 'IN', 'OUT', 'BACK'),
  at('by id', { initial: 'p', states: { p: { initial: 'a', on: { OUT: 'o' }, states: { a: { on: { NEXT: 'b' } }, b: {}, h: { id: 'back', type: 'history' } } }, o: { on: { BACK: '#back' } } } }, 'NEXT', 'OUT', 'BACK'),
  at('the default target only counts once', { initial: 'o', states: { o: { on: { GO: 'p.h' } }, p: { initial: 'a', on: { OUT: 'o' }, states: { a: {}, b: { on: { NEXT: 'c' } }, c: {}, h: { type: 'history', target: 'b' } } } } }, 'GO', 'NEXT', 'OUT', 'GO'),
  at('the transition to it has actions', { initial: 'p', states: { p: { initial: 'a', on: { OUT: 'o' }, states: { a: { on: { NEXT: 'b' } }, b: {}, h: { type: 'history' } } }, o: { on: { BACK: { target: 'p.h', actions: 'returning' } } } } }, 'NEXT', 'OUT', 'BACK'),
  at('two history states in one parent', { initial: 'p', states: { p: { initial: 'a', on: { OUT: 'o' }, states: { a: { on: { IN: 'b.y' } }, b: { initial: 'x', states: { x: {}, y: {} } }, hs: { type: 'history' }, hd: { type: 'history', history: 'deep' } } }, o: { on: { SHALLOW: 'p.hs', DEEP: 'p.hd' } } } }, 'IN', 'OUT', 'DEEP', 'OUT', 'SHALLOW'),
  at('in a nested state', { initial: 'r', states: { r: { initial: 'p', on: { OUT: 'o' }, states: { p: { initial: 'a', states: { a: { on: { NEXT: 'b' } }, b: {}, h: { type: 'history' } } }, q: {} } }, o: { on: { BACK: 'r.p.h' } } } }, 'NEXT', 'OUT', 'BACK'),
  at('of nested parallel states, deep', { initial: 'p', states: { p: { type: 'parallel', on: { OUT: 'o' }, states: { one: flip('A'), two: { type: 'parallel', states: { three: flip('B'), four: flip('C') } }, h: { type: 'history', history: 'deep' } } }, o: { on: { BACK: 'p.h' } } } }, 'A', 'C', 'OUT', 'BACK'),
  at('always leads to it', { initial: 'p', states: { p: { initial: 'a', on: { OUT: 'o' }, states: { a: { on: { NEXT: 'b' } }, b: {}, h: { type: 'history' } } }, o: { always: 'p.h' } } }, 'NEXT', 'OUT'),
  at('it remembers through other events', { initial: 'p', states: { p: { initial: 'a', on: { OUT: 'o' }, states: { a: { on: { NEXT: 'b' } }, b: {}, h: { type: 'history' } } }, o: { on: { X: { actions: 'x' }, Y: 'o', BACK: 'p.h' } } } }, 'NEXT', 'OUT', 'X', 'Y', 'BACK'),
  at('leaving inside is no leaving', { initial: 'p', states: { p: { initial: 'a', on: { H: '.h' }, states: { a: { on: { NEXT: 'b' } }, b: { on: { NEXT: 'a' } }, h: { type: 'history' } } } } }, 'NEXT', 'H'),
];

exports.inside = [
  at('in by id', { type: 'parallel', states: { one: flip('A'), two: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: '#m.one.y' } } }, y: {} } } } }, 'GO', 'A', 'GO'),
  at('in by path, read from the grandparent', { type: 'parallel', states: { one: flip('A'), two: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: 'one.y' } } }, y: {} } } } }, 'GO', 'A', 'GO'),
  at('in by state value', { type: 'parallel', states: { one: flip('A'), two: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: { one: 'y' } } } }, y: {} } } } }, 'GO', 'A', 'GO'),
  at('in together with a guard', { type: 'parallel', states: { one: flip('A'), two: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: '#m.one.x', cond: 'no' } } }, y: {} } } } }, 'GO'),
  at('in by a path of three', { type: 'parallel', states: { one: { initial: 'p', states: { p: flip('A') } }, two: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: 'one.p.y' } } }, y: {} } } } }, 'GO', 'A', 'GO'),
  at('in by the id of a compound state', { type: 'parallel', states: { one: { initial: 'p', states: { p: { id: 'p', ...flip('A'), on: { OUT: 'q' } }, q: {} } }, two: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: '#p' } } }, y: {} } } } }, 'OUT', 'GO'),
  at('in on a candidate list', { type: 'parallel', states: { one: flip('A'), two: { initial: 'x', states: { x: { on: { GO: [{ target: 'y', in: '#m.one.y' }, { target: 'z' }] } }, y: {}, z: {} } } } }, 'GO'),
  at('in on a targetless transition', { type: 'parallel', states: { one: flip('A'), two: { initial: 'x', states: { x: { on: { GO: { actions: 'seen', in: '#m.one.y' } } } } } } }, 'GO', 'A', 'GO'),
  at('in sees the state before the event', { type: 'parallel', states: { one: flip('GO'), two: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: '#m.one.y' } } }, y: {} } } } }, 'GO', 'GO', 'GO'),
  at('in of two regions by state value', { type: 'parallel', states: { one: flip('A'), two: flip('B'), three: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: { one: 'y', two: 'y' } } } }, y: {} } } } }, 'A', 'GO', 'B', 'GO'),
  at('in on an after', { type: 'parallel', states: { one: flip('A'), two: { initial: 'x', states: { x: { after: { 10: { target: 'y', in: '#m.one.y' } } }, y: {} } } } }, 'A', 10),
];

exports.order = [
  at('a nested parallel state enters depth first', { initial: 'o', states: { o: { on: { GO: 'p' } }, p: { type: 'parallel', states: { one: { initial: 'x', states: { x: {} } }, two: { type: 'parallel', states: { three: flip('A'), four: flip('B') } } } } } }, 'GO'),
  at('a nested parallel state exits in reverse', { initial: 'p', states: { p: { type: 'parallel', on: { GO: 'o' }, states: { one: flip('A'), two: { type: 'parallel', states: { three: flip('A'), four: flip('B') } }, three: flip('C') } }, o: {} } }, 'GO'),
  at('all exits, then all actions, then all entries', regions(
    { initial: 'x', states: { x: { on: { GO: { target: 'y', actions: 'first acts' } } }, y: {} } }, { initial: 'x', states: { x: { on: { GO: { target: 'y', actions: 'second acts' } } }, y: {} } }), 'GO'),
  at('the second region moved last, both move', regions(
    { initial: 'x', states: { x: { on: { GO: { target: 'y', actions: 'first acts' } } }, y: { on: { GO: { target: 'x', actions: 'first acts' } } } } },
    { initial: 'x', states: { x: { on: { GO: { target: 'y', actions: 'second acts' }, B: 'y' } }, y: { on: { GO: { target: 'x', actions: 'second acts' } } } } }), 'B', 'GO', 'GO'),
  at('the first region moved last, both move', regions(
    { initial: 'x', states: { x: { on: { GO: { target: 'y', actions: 'first acts' }, A: 'y' } }, y: { on: { GO: { target: 'x', actions: 'first acts' } } } } },
    { initial: 'x', states: { x: { on: { GO: { target: 'y', actions: 'second acts' } } }, y: { on: { GO: { target: 'x', actions: 'second acts' } } } } }), 'A', 'GO', 'GO'),
  at('raised events of two regions after one moved', regions(
    { initial: 'x', states: { x: { on: { GO: { actions: 'raise:R' }, R: { actions: 'r' }, S: { actions: 's' } } } } },
    { initial: 'x', states: { x: { on: { GO: { actions: 'raise:S' }, B: 'x' } } } }), 'GO', 'B', 'GO'),
  at('a context written by two regions', regions(
    { initial: 'x', states: { x: { on: { GO: { actions: 'set:k:first' } } } } }, { initial: 'x', states: { x: { on: { GO: { actions: 'set:k:second' }, B: 'x' } } } }, { context: { k: '' } }), 'GO', 'B', 'GO'),
  at('exits of regions after one moved', { initial: 'p', states: { p: { type: 'parallel', on: { OUT: 'o' }, states: { one: flip('A'), two: flip('B') } }, o: { on: { BACK: 'p' } } } }, 'A', 'OUT', 'BACK', 'B', 'OUT'),
];

exports.ends = [
  at('exit actions run innermost first', { initial: 'p', exit: 'root out', states: { p: { initial: 'a', exit: 'p out', states: { a: { on: { GO: '#end' } } } }, f: { id: 'end', type: 'final', exit: 'f out' } } }, 'GO'),
  at('a region that ends alone does not end the machine', { type: 'parallel', states: { one: finishing(), two: flip('X') } }, 'GO', 'X'),
  at('regions end one after the other', { type: 'parallel', states: { one: { initial: 'x', states: { x: { on: { A: 'f' } }, f: { type: 'final' } } }, two: { initial: 'x', states: { x: { on: { B: 'f' } }, f: { type: 'final' } } } } }, 'B', 'A', 'A'),
  at('what is raised behind the end is lost', { initial: 'x', states: { x: { on: { GO: { target: 'f', actions: 'raise:R' } } }, f: { type: 'final', on: { R: { actions: 'never' } } } }, on: { R: { actions: 'never' } } }, 'GO'),
  at('what is sent behind the end is lost', { initial: 'x', states: { x: { on: { GO: { target: 'f', actions: ['send:S', 'send:S:10'] } } }, f: { type: 'final' } }, on: { S: { actions: 'never' } } }, 'GO', 10),
  at('the output sees the last context', { context: { n: 0 }, initial: 'x', states: { x: { exit: 'inc:n', on: { GO: { target: 'f', actions: 'inc:n' } } }, f: { type: 'final', entry: 'inc:n', data: { n: '$ctx:n' } } } }, 'GO'),
  at('the output does not see the exit actions of the end', { context: { n: 0 }, exit: 'inc:n', initial: 'x', states: { x: { on: { GO: 'f' } }, f: { type: 'final', exit: 'inc:n', data: { n: '$ctx:n' } } } }, 'GO'),
  at('two ends with different data', { initial: 'x', states: { x: { on: { GOOD: 'good', BAD: 'bad' } }, good: { type: 'final', data: { ok: true } }, bad: { type: 'final', data: { ok: false } } } }, 'BAD'),
  at('an always leads to the end from the start', { initial: 'x', states: { x: { always: 'f' }, f: { type: 'final', data: { at: 'once' } } } }),
  at('a parallel machine has no output', { type: 'parallel', states: { one: finishing({ data: { a: 1 } }), two: finishing({ data: { b: 2 } }) } }, 'GO'),
];

exports.keys = [
  at('plain keys in the order of the config', { initial: 'o', states: { o: { on: { GO: 'p' } }, p: { type: 'parallel', states: { zebra: {}, apple: {}, mango: {} } } } }, 'GO'),
  at('keys that look like integers', { initial: 'o', states: { o: { on: { GO: 'p' } }, p: { type: 'parallel', states: { b: {}, 2: {}, 1: {}, a: {} } } } }, 'GO'),
  at('context with keys that look like integers', { context: { b: 1, 2: 2, 1: 3 }, initial: 'a', states: { a: { on: { GO: { actions: 'inc:2' } } } } }, 'GO'),
  at('event types that look like integers', abc({ on: { 10: 'b', 9: 'c' } }), '9'),
  at('state keys that look like integers', { initial: '2', states: { 2: { on: { GO: '1' } }, 1: {} } }, 'GO'),
];

const seeing = (name, machine, ...events) => ({ name, machine, sees: true, events });
exports.changed = [
  seeing('an unknown event', abc({ on: { GO: 'b' } }), 'NO'),
  seeing('a transition to another state', { initial: 'a', states: { a: { on: { GO: 'b' } }, b: {} } }, 'GO'),
  seeing('an empty dict', abc({ on: { GO: {} } }), 'GO'),
  seeing('actions without a target', abc({ on: { GO: { actions: 'acted' } } }), 'GO'),
  seeing('an assign without a target', abc({ on: { GO: { actions: 'inc:n' } } }, { context: { n: 0 } }), 'GO'),
  seeing('an assign of the same value', abc({ on: { GO: { actions: 'set:k:v' } } }, { context: { k: 'v' } }), 'GO', 'GO'),
  seeing('a self transition', { initial: 'a', states: { a: { on: { GO: 'a' } } } }, 'GO'),
  seeing('there and back again by always', { context: { n: 0 }, initial: 'a', states: { a: { on: { GO: 'b' } }, b: { always: 'a' } } }, 'GO'),
  seeing('a raised event that nobody handles', abc({ on: { GO: { actions: 'raise:R' } } }), 'GO'),
  seeing('a guard that fails', abc({ on: { GO: { target: 'b', cond: 'no' } } }), 'GO'),
  seeing('an internal self transition of an atomic state', { initial: 'a', states: { a: { on: { GO: { target: 'a', internal: true } } } } }, 'GO'),
  seeing('only one region moves', regions(flip('A'), flip('B')), 'A', 'C'),
  seeing('an event after the end', finishing(), 'GO', 'GO'),
];

exports.tags = [
  seeing('of an atomic state', { initial: 'a', states: { a: { tags: 'busy', on: { GO: 'b' } }, b: {} } }, 'GO'),
  seeing('several on one state', { initial: 'a', states: { a: { tags: ['x', 'y'], on: { GO: 'b' } }, b: { tags: ['y', 'z'] } } }, 'GO'),
  seeing('of the ancestors too', { tags: 'root', initial: 'p', states: { p: { tags: 'p', initial: 'a', states: { a: { tags: 'a', on: { GO: 'b' } }, b: {} } } } }, 'GO'),
  seeing('of all regions, each once', { type: 'parallel', states: { one: { tags: 'same', initial: 'x', states: { x: { tags: 'one' } } }, two: { tags: 'same', initial: 'x', states: { x: { tags: 'two', on: { GO: 'y' } }, y: {} } } } }, 'GO'),
  seeing('they stay when nothing happens', { initial: 'a', states: { a: { tags: 'busy' } } }, 'NO'),
  seeing('meta of the active states', { meta: { about: 'root' }, initial: 'p', states: { p: { meta: 1, initial: 'a', states: { a: { meta: { deep: [1] }, on: { GO: 'b' } }, b: {} } } } }, 'GO'),
  seeing('meta under an id', { initial: 'a', states: { a: { id: 'named', meta: 'm', on: { GO: 'b' } }, b: { meta: 'n' } } }, 'GO'),
  seeing('meta of regions', { type: 'parallel', states: { one: { meta: 1 }, two: { initial: 'x', states: { x: { meta: 2 } } } } }),
];
