// The cases of what configs and states offer beside the algorithm: activities, actions as objects, machines written as JSON by
// XState itself, actors that answer, and what states tell. The events are those of cases.cjs.
'use strict';

const at = (name, machine, ...events) => ({ name, machine, events });
const family = (name, children, machine, ...events) => ({ name, machine, children, events });
const begun = (a, more = {}, root = {}) => ({ ...root, initial: 'o', states: { o: { on: { BEGIN: 'a' } }, a, b: {}, c: {}, ...more } });

exports.activities = [
  at('they start after the entry actions and stop after the exit actions', begun({ activities: 'beep', entry: 'in', exit: 'out', on: { GO: 'b' } }), 'BEGIN', 'GO'),
  at('several, in order', begun({ activities: ['beep', 'flash'], on: { GO: 'b' } }), 'BEGIN', 'GO'),
  at('before what is invoked', begun({ activities: ['beep'], invoke: { src: 'one', id: 'c' }, on: { GO: 'b' } }), 'BEGIN', 'GO'),
  at('they go on through a targetless transition', begun({ activities: 'beep', on: { HERE: { actions: 'here' } } }), 'BEGIN', 'HERE'),
  at('of a compound state', begun({ activities: 'beep', initial: 'x', on: { IN: '.y', GO: 'b' }, states: { x: {}, y: {} } }), 'BEGIN', 'IN', 'GO'),
  at('re-entering starts them again', begun({ activities: 'beep', on: { GO: 'a' } }), 'BEGIN', 'GO'),
  at('in the initial state', { initial: 'a', states: { a: { activities: 'beep', entry: 'in', on: { GO: 'b' } }, b: {} } }, 'GO'),
  at('entered and left in one macrostep', begun({ on: { GO: 'b' } }, { b: { activities: 'beep', always: 'c' } }), 'BEGIN', 'GO'),
  at('as an object with an id', begun({ activities: { type: 'beep', id: 'b1' }, on: { STOP: { actions: 'stop:b1' }, GO: 'b' } }), 'BEGIN', 'STOP', 'GO'),
  at('stopped by name', begun({ activities: 'beep', on: { STOP: { actions: 'stop:beep' } } }), 'BEGIN', 'STOP'),
  at('started and stopped by actions', begun({ on: { START: { actions: 'start:beep' }, GO: 'b' } }, { b: { on: { STOP: { actions: 'stop:beep' } } } }), 'BEGIN', 'START', 'GO', 'STOP'),
  at('stopped before it has started', begun({ on: { STOP: { actions: ['stop:beep', 'after'] } } }), 'BEGIN', 'STOP'),
  at('the same one in two regions', begun({ type: 'parallel', states: { x: { initial: 'i', states: { i: { activities: 'beep', on: { X: 'j' } }, j: {} } }, y: { activities: 'beep' } }, on: { GO: 'b' } }), 'BEGIN', 'X', 'GO'),
  at('the end of the machine stops them', begun({ activities: 'beep', on: { GO: 'end' } }, { end: { type: 'final' } }), 'BEGIN', 'GO'),
];

const acts = (...actions) => ({ context: {}, initial: 'a', states: { a: { on: {
  GO: { actions: [...actions, 'after'] }, X: { actions: 'x' }, Y: { actions: 'y' }, SEE: { actions: 'pick:n' }, 'error.communication': { actions: 'told' } } } } });
exports.objects = [
  at('raise', acts({ type: 'xstate.raise', event: { type: 'X' } }), 'GO'),
  at('raise with a delay', acts({ type: 'xstate.raise', event: { type: 'X' }, delay: 5 }), 'GO', 5),
  at('send', acts({ type: 'xstate.send', event: { type: 'X' }, id: 'X' }), 'GO'),
  at('send with a delay', acts({ type: 'xstate.send', event: { type: 'X' }, delay: 5, id: 'X' }), 'GO', 5),
  at('send with a named delay', acts({ type: 'xstate.send', event: { type: 'X' }, delay: 'soon', id: 'X' }), 'GO', 5),
  at('send to itself inside', acts({ type: 'xstate.send', event: { type: 'X' }, to: '#_internal' }), 'GO'),
  at('send to a child', begun({ invoke: { src: 'one', id: 'c' }, on: { GO: { actions: { type: 'xstate.send', event: { type: 'HI' }, to: 'c', id: 'HI' } } } }), 'BEGIN', 'GO'),
  at('cancel', acts({ type: 'xstate.send', event: { type: 'X' }, delay: 5, id: 'x1' }, { type: 'xstate.send', event: { type: 'Y' }, delay: 5, id: 'y1' }, { type: 'xstate.cancel', sendId: 'x1' }), 'GO', 5),
  at('assign', acts({ type: 'xstate.assign', assignment: { n: 1, m: { deep: [1] } } }), 'GO', 'SEE'),
  at('log', acts({ type: 'xstate.log', expr: 'hello' }), 'GO'),
  at('stop', begun({ invoke: { src: 'one', id: 'c' }, on: { GO: { actions: { type: 'xstate.stop', activity: { id: 'c', type: 'c' } } } } }), 'BEGIN', 'GO'),
  at('start', begun({ on: { GO: { actions: { type: 'xstate.start', activity: { id: 'beep', type: 'beep' } } } } }), 'BEGIN', 'GO'),
  at('choose', acts({ type: 'xstate.choose', conds: [{ cond: 'no', actions: ['never'] }, { cond: { type: 'xstate.guard', name: 'zero:n' }, actions: { type: 'xstate.raise', event: { type: 'X' } } }, { actions: 'never' }] }), 'GO'),
  at('a guard', { initial: 'a', states: { a: { on: { GO: [{ target: 'b', cond: { type: 'xstate.guard', name: 'no' } }, { target: 'c', cond: { type: 'xstate.guard', name: 'yes' } }] } }, b: {}, c: {} } }, 'GO'),
  at('a service with parameters', begun({ invoke: { src: { type: 'one', endpoint: 'x' }, id: 'c' } }), 'BEGIN'),
  at('the end of a child by hand', begun({ invoke: { src: 'promise:yes', id: 'c' }, on: { 'done.invoke.c': { target: 'b', actions: 'data:d' } } }, {}, { context: {} }), 'BEGIN'),
];

// The recorded machine is what JSON.stringify makes of XState's machine; XState itself runs the one it was made from.
const written = (...parts) => ({ ...at(...parts), written: true });
exports.written = [
  written('states and transitions', { initial: 'a', states: { a: { on: { GO: 'b', NO: { target: 'b', cond: 'no' } } }, b: { on: { GO: [{ target: 'c', cond: 'zero:n', actions: 'inc:n' }, { target: 'a' }] } }, c: { on: { '*': 'b' } } }, context: {} }, 'NO', 'GO', 'GO', 'ANY', 'GO'),
  written('nested and internal', { initial: 'p', states: { p: { initial: 'x', on: { IN: '.y', OUT: { target: 'p', internal: false }, HERE: { actions: 'here' } }, states: { x: {}, y: { on: { UP: '#m.q' } } } }, q: {} } }, 'IN', 'HERE', 'OUT', 'IN', 'UP'),
  written('regions', { type: 'parallel', states: { one: { initial: 'x', states: { x: { on: { GO: 'y' } }, y: { type: 'final' } } }, two: { initial: 'x', onDone: { actions: 'two done' }, states: { x: { on: { GO: 'y' } }, y: { type: 'final', data: { n: 1 } } } } } }, 'GO'),
  written('timers', { initial: 'a', states: { a: { entry: 'in', after: { 10: { target: 'b', cond: 'no' }, soon: { actions: 'soon' }, 20: 'b' } }, b: { after: { 5: 'a' } } } }, 5, 5, 10, 5),
  written('a timer is cancelled', { initial: 'a', states: { a: { after: { 10: 'b' }, on: { GO: 'c' } }, b: {}, c: {} } }, 5, 'GO', 10),
  written('eventless transitions', { initial: 'a', states: { a: { on: { GO: 'b' } }, b: { always: [{ target: 'a', cond: 'no' }, { target: 'c', actions: 'through' }] }, c: {} } }, 'GO'),
  written('forbidden transitions', { initial: 'p', states: { p: { initial: 'a', on: { GO: 'q' }, states: { a: { on: { GO: {} } } } }, q: {} } }, 'GO'),
  written('in another region', { type: 'parallel', states: { one: { initial: 'x', states: { x: { on: { GO: { target: 'y', in: '#far' } } }, y: {} } }, two: { initial: 'u', states: { u: { on: { GO: 'v' } }, v: { id: 'far' } } } } }, 'GO', 'GO'),
  written('history', { initial: 'p', states: { p: { initial: 'a', on: { OUT: 'q' }, states: { a: { on: { GO: 'b' } }, b: {}, h: { type: 'history' }, d: { type: 'history', history: 'deep' } } }, q: { on: { BACK: 'p.h', DEEP: 'p.d' } } } }, 'GO', 'OUT', 'BACK', 'OUT', 'DEEP'),
  written('what a service says', begun({ invoke: { src: 'promise:yes', id: 'c', onDone: { target: 'b', actions: 'data:d' }, onError: 'c' } }, {}, { context: {} }), 'BEGIN'),
  written('what a service fails with', begun({ invoke: { src: 'failing:bad', id: 'c', onDone: 'c', onError: { target: 'b', actions: 'data:d' } } }, {}, { context: {} }), 'BEGIN'),
  written('several services and activities', begun({ activities: ['beep', { type: 'flash', id: 'f1' }], invoke: [{ src: 'one', id: 'c', autoForward: false }, { src: 'two', id: 'd', meta: { of: 'two' } }], on: { GO: 'b' } }), 'BEGIN', 'GO'),
  written('actions that creators returned', { context: {}, initial: 'a', states: { a: { on: { GO: { actions: [
    { type: 'xstate.assign', assignment: { n: 5 } }, { type: 'xstate.raise', event: { type: 'X' } }, { type: 'xstate.send', event: { type: 'Y' }, delay: 5, id: 'Y' },
    { type: 'xstate.log', expr: 'said' }, { type: 'xstate.choose', conds: [{ cond: 'zero:n', actions: ['never'] }, { actions: 'chosen' }] }, { type: 'named', with: 'parameters' }] },
    X: { actions: 'x' }, Y: { actions: 'y' }, STOP: { actions: { type: 'xstate.cancel', sendId: 'Y' } } } } } }, 'GO', 5, 'GO', 'STOP', 5),
  written('words about it', { version: '1.2', description: 'a machine', meta: { of: 'm' }, initial: 'a', states: { a: { description: 'a state', tags: ['t', 'u'], meta: { of: 'a' }, on: { GO: { target: 'b', description: 'an arrow', meta: { of: 'GO' } } } }, b: { tags: 'v', type: 'final', data: { ok: true } } } }, 'GO'),
  written('another delimiter and ids', { delimiter: '/', initial: 'a', states: { a: { id: 'first', on: { GO: 'p/y' } }, p: { initial: 'x', states: { x: {}, y: { on: { GO: '#first' } } } } } }, 'GO', 'GO'),
];

exports.answers = [
  family('a child answers its parent', { kid: { on: { ASK: { actions: 'answer:ANSWER' } } } }, begun({ invoke: { src: 'machine:kid', id: 'c' }, on: { GO: { actions: 'to:c:ASK' }, ANSWER: 'b' } }), 'BEGIN', 'GO'),
  family('a parent answers its child', { kid: { initial: 'w', states: { w: { entry: 'up:ASK', on: { ANSWER: 'x' } }, x: { entry: 'kid knows' } } } }, begun({ invoke: { src: 'machine:kid', id: 'c' }, on: { ASK: { actions: ['answer:ANSWER', 'asked'] } } }), 'BEGIN'),
  family('the child that asked gets the answer', { kid: { on: { TELL: { actions: 'up:ASK' }, ANSWER: { actions: 'kid knows' } } }, other: { on: { ANSWER: { actions: 'other knows' } } } }, begun({ invoke: [{ src: 'machine:other', id: 'd' }, { src: 'machine:kid', id: 'c' }], on: { GO: { actions: 'to:c:TELL' }, ASK: { actions: 'answer:ANSWER' } } }), 'BEGIN', 'GO'),
  family('an answer may wait', { kid: { on: { ASK: { actions: 'answer:ANSWER:10' } } } }, begun({ invoke: { src: 'machine:kid', id: 'c' }, on: { GO: { actions: 'to:c:ASK' }, ANSWER: 'b' } }), 'BEGIN', 'GO', 9, 1),
  at('an answer to a callback', begun({ invoke: { src: 'one', id: 'c' }, on: { GO: 'b' } }, { b: { invoke: { src: 'says:HI', id: 'd' }, on: { HI: { actions: ['answer:ANSWER', 'after'] } } } }), 'BEGIN', 'GO'),
  at('an answer to nobody', begun({ on: { GO: { actions: ['answer:ANSWER', 'after'] }, ANSWER: { actions: 'its own answer' }, 'error.communication': { actions: 'told' } } }), 'BEGIN', 'GO'),
  family('an event is passed on', { kid: { context: {}, on: { GO: { actions: ['data:d', 'kid has it'] }, HERE: { actions: 'pick:d' } } } }, begun({ invoke: { src: 'machine:kid', id: 'c' }, on: { GO: { actions: 'pass:c' }, HERE: { actions: 'pass:c' } } }), 'BEGIN', { type: 'GO', data: 5 }, 'HERE'),
  at('an event is passed on to a callback', begun({ invoke: { src: 'one', id: 'c' }, on: { GO: { actions: 'pass:c' } } }), 'BEGIN', 'GO'),
  at('an event is passed on later', begun({ invoke: { src: 'one', id: 'c' }, on: { GO: { actions: 'pass:c:10' } } }), 'BEGIN', 'GO', 9, 1),
  at('an event is passed on to a child that is not there', begun({ on: { GO: { actions: ['pass:c', 'after'] }, 'error.communication': { actions: 'told' } } }), 'BEGIN', 'GO'),
  family('an error goes up', { kid: { on: { ASK: { actions: ['escalate:bad', 'kid goes on'] } } } }, begun({ invoke: { src: 'machine:kid', id: 'c', onError: { target: 'b', actions: 'data:d' } }, on: { GO: { actions: 'to:c:ASK' } } }, {}, { context: {} }), 'BEGIN', 'GO'),
  family('an error goes up and the child goes on', { kid: { on: { ASK: { actions: 'escalate:bad' }, MORE: { actions: 'kid goes on' } } } }, begun({ invoke: { src: 'machine:kid', id: 'c', onError: { actions: 'noted' } }, on: { GO: { actions: 'to:c:ASK' }, MORE: { actions: 'pass:c' } } }), 'BEGIN', 'GO', 'MORE'),
  family('an error goes up when the child is entered', { kid: { entry: 'escalate:bad' } }, begun({ invoke: { src: 'machine:kid', id: 'c', onError: 'b' } }), 'BEGIN'),
  at('an error where there is no parent', begun({ on: { GO: { actions: ['escalate:bad', 'after'] }, 'error.communication': { actions: 'told' } } }), 'BEGIN', 'GO'),
];

const asking = (name, machine, asks, ...events) => ({ name, machine, asks, events });
const player = { initial: 'off', context: {}, meta: { all: 1 }, states: {
  off: { tags: 'quiet', on: { ON: 'on', NO: {}, NEVER: { target: 'on', cond: 'no' }, COUNT: { actions: 'inc:n' }, SOME: { target: 'on', cond: 'zero:n' } } },
  on: { type: 'parallel', tags: ['loud', 'on'], meta: { of: 'on' }, on: { OFF: 'off', ON: {} }, states: {
    sound: { initial: 'low', states: { low: { on: { UP: 'high' }, after: { 10: 'high' } }, high: { meta: { of: 'high' }, on: { UP: {} } } } }, light: {} } },
  end: { type: 'final' } } };
const everything = { events: ['ON', 'OFF', 'NO', 'NEVER', 'COUNT', 'SOME', 'UP', 'UNKNOWN'], tags: ['quiet', 'loud', 'none'],
  values: ['off', 'on', 'on.sound', 'on.sound.high', 'on.light', 'on.nowhere', { on: 'sound' }, { on: { sound: 'low' } }, { on: { sound: 'low', light: {} } }, { off: {} }, { on: {} }, {}] };
exports.asking = [
  asking('a player', player, everything, 'COUNT', 'ON', 'UP', 'OFF'),
  asking('eventless transitions and children', begun({ invoke: { src: 'one', id: 'c', onDone: 'b' }, always: { target: 'b', cond: 'no' }, onDone: 'b', on: { '*': 'c' } }), { events: ['BEGIN', 'ANY'], tags: [], values: [] }, 'BEGIN'),
  asking('what is there in the end', { initial: 'a', states: { a: { on: { GO: 'f' } }, f: { type: 'final', meta: 1, tags: 'x' } } }, { events: [], tags: ['x'], values: ['f'] }, 'GO'),
  { ...asking('states for values', player, { events: [], tags: [], values: [] }), resolves: ['off', 'on', 'end', { on: { sound: 'high' } }, { on: { sound: 'low', light: {} } }, { on: {} }, {}, 'nowhere', { on: { sound: 'nowhere' } }] },
  { ...asking('states for paths', player, { events: [], tags: [], values: [] }), resolves: ['on.sound.high', 'on.light', { off: {} }] },
];
