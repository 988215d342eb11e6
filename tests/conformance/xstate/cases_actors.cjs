// The cases of machines that send and of machines with children. The events are those of cases.cjs.
'use strict';

const at = (name, machine, ...events) => ({ name, machine, events });
const family = (name, children, machine, ...events) => ({ name, machine, children, events });
// A machine that leaves `o` for `a` on BEGIN: XState starts what the initial state invokes in another order.
const begun = (a, more = {}, root = {}) => ({ ...root, initial: 'o', states: { o: { on: { BEGIN: 'a' } }, a, b: {}, c: {}, ...more } });

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
  at('a promise resolves', begun({ invoke: { src: 'promise:yes', id: 'c', onDone: { target: 'b', actions: 'data:d' } } }, {}, { context: {} }), 'BEGIN'),
  at('a promise resolves later', begun({ invoke: { src: 'promise:yes:10', id: 'c', onDone: { target: 'b', actions: 'data:d' } } }, {}, { context: {} }), 'BEGIN', 9, 1),
  at('a promise fails', begun({ invoke: { src: 'failing:no', id: 'c', onDone: 'c', onError: { target: 'b', actions: 'data:d' } } }, {}, { context: {} }), 'BEGIN'),
  at('a promise fails later', begun({ invoke: { src: 'failing:no:10', id: 'c', onError: 'b' } }), 'BEGIN', 10),
  at('a promise whose state was left', begun({ invoke: { src: 'promise:yes:10', id: 'c', onDone: 'c' }, on: { GO: 'b' } }), 'BEGIN', 'GO', 10),
  at('a promise whose state was re-entered', begun({ invoke: { src: 'promise:yes:10', id: 'c', onDone: 'c' }, on: { GO: 'a' } }), 'BEGIN', 5, 'GO', 5, 5),
  at('onDone with candidates', begun({ invoke: { src: 'promise:yes', id: 'c', onDone: [{ target: 'c', cond: 'zero:n' }, { target: 'b' }] } }, {}, { context: { n: 1 } }), 'BEGIN'),
  at('onDone without a target', begun({ invoke: { src: 'promise:yes', id: 'c', onDone: { actions: 'data:d' } } }, {}, { context: {} }), 'BEGIN'),
  at('the done event carries the default id', begun({ invoke: { src: 'promise:yes' }, on: { 'done.invoke.m.a:invocation[0]': 'b' } }), 'BEGIN'),
  at('the default ids of several', begun({ invoke: [{ src: 'promise:x' }, { src: 'promise:y:10' }], on: { 'done.invoke.m.a:invocation[0]': { actions: 'first done' }, 'done.invoke.m.a:invocation[1]': { actions: 'second done' } } }), 'BEGIN', 10),
  at('two promises answer in the order they started', begun({ invoke: [{ src: 'promise:x', id: 'x', onDone: { actions: 'x done' } }, { src: 'promise:y', id: 'y', onDone: { actions: 'y done' } }] }), 'BEGIN'),
  at('an ancestor takes the done event', { initial: 'p', on: { 'done.invoke.c': '.q' }, states: { p: begun({ invoke: { src: 'promise:yes', id: 'c' } }), q: {} } }, 'BEGIN'),
  at('in two regions', { type: 'parallel', states: { one: begun({ invoke: { src: 'promise:x', id: 'x', onDone: 'b' } }), two: begun({ invoke: { src: 'promise:y', id: 'y', onDone: 'b' } }) } }, 'BEGIN'),
  at('an error that nobody handles', begun({ invoke: { src: 'failing:no', id: 'c', onDone: 'b' } }), 'BEGIN', 'GO'),
  at('an error taken by a star', begun({ invoke: { src: 'failing:no', id: 'c' }, on: { '*': 'b' } }), 'BEGIN'),
  at('a service that throws', begun({ invoke: { src: 'throwing', id: 'c', onError: { target: 'b', actions: 'data:d' } } }, {}, { context: {} }), 'BEGIN'),
  at('a service given as an object', begun({ invoke: { src: { type: 'one' }, id: 'c' }, on: { GO: 'b' } }), 'BEGIN', 'GO'),
  at('it sees the context after the entry actions', begun({ entry: 'inc:n', invoke: { src: 'tells', id: 'c' } }, {}, { context: { n: 0 } }), 'BEGIN'),
  at('data for a function', begun({ invoke: { src: 'tells', id: 'c', data: { given: '$ctx:n' } } }, {}, { context: { n: 3 } }), 'BEGIN'),
  at('the same id in two states', begun({ invoke: { src: 'one', id: 'c' }, on: { GO: 'b' } }, { b: { invoke: { src: 'two', id: 'c' }, on: { GO: 'c' } } }), 'BEGIN', 'GO', 'GO'),
  at('nested states each invoke', begun({ invoke: { src: 'one', id: 'c' }, initial: 'x', on: { GO: 'b' }, states: { x: { invoke: { src: 'two', id: 'd' } } } }), 'BEGIN', 'GO'),
  at('children stop when the machine is done', { initial: 'o', states: { o: { on: { BEGIN: 'a' } }, a: { invoke: { src: 'two', id: 'c' }, on: { GO: 'f' } }, f: { type: 'final' } } }, 'BEGIN', 'GO'),
];

exports.sends = [
  at('a sent event comes after everything raised', { initial: 'a', states: { a: { on: { GO: { actions: ['send:S', 'raise:R'] }, R: { actions: 'raise:T' }, T: { actions: 't' }, S: { actions: 's' } } } } }, 'GO'),
  at('sent events come in order', { initial: 'a', states: { a: { on: { GO: { actions: ['send:S', 'send:T'] }, S: { actions: ['s', 'send:U'] }, T: { actions: 't' }, U: { actions: 'u' } } } } }, 'GO'),
  at('a sent event is taken after always', { initial: 'a', states: { a: { on: { GO: { target: 'b', actions: 'send:S' } } }, b: { always: 'c', on: { S: { actions: 'in b' } } }, c: { on: { S: { actions: 'in c' } } } } }, 'GO'),
  at('delayed events come in the order they are due', { initial: 'a', states: { a: { on: { GO: { actions: ['send:S:20', 'send:T:10'] }, S: { actions: 's' }, T: { actions: 't' } } } } }, 'GO', 30),
  at('delayed events due at once come in the order they were sent', { initial: 'a', states: { a: { on: { GO: { actions: ['send:S:10', 'send:T:10'] }, S: { actions: 's' }, T: { actions: 't' } } } } }, 'GO', 10),
  at('no delay is still a timer', { initial: 'a', states: { a: { on: { GO: { actions: ['send:S:0', 'send:T'] }, S: { actions: 's' }, T: { actions: 't' } } } } }, 'GO', 0),
  at('an id of its own', { initial: 'a', states: { a: { on: { GO: { actions: 'send:S:10:mine' }, STOP: { actions: 'cancel:mine' }, S: { actions: 's' } } } } }, 'GO', 'STOP', 10),
  at('with an id of its own its type cancels nothing', { initial: 'a', states: { a: { on: { GO: { actions: 'send:S:10:mine' }, STOP: { actions: 'cancel:S' }, S: { actions: 's' } } } } }, 'GO', 'STOP', 10),
  at('cancel in the same list', { initial: 'a', states: { a: { on: { GO: { actions: ['send:S:10', 'cancel:S'] }, S: { actions: 's' } } } } }, 'GO', 10),
  at('cancel before the send in the same list', { initial: 'a', states: { a: { on: { GO: { actions: ['cancel:S', 'send:S:10'] }, S: { actions: 's' } } } } }, 'GO', 10),
  at('cancel of what is not pending', { initial: 'a', states: { a: { on: { STOP: { actions: ['cancel:S', 'after'] } } } } }, 'STOP'),
  at('cancel takes all with one id', { initial: 'a', states: { a: { on: { GO: { actions: 'send:S:10' }, STOP: { actions: 'cancel:S' }, S: { actions: 's' } } } } }, 'GO', 5, 'GO', 'STOP', 20),
  at('cancel, then send again', { initial: 'a', states: { a: { on: { GO: { actions: 'send:S:10' }, AGAIN: { actions: ['cancel:S', 'send:S:10'] }, S: { actions: 's' } } } } }, 'GO', 5, 'AGAIN', 5, 5),
  at('cancel of an event sent at once does nothing', { initial: 'a', states: { a: { on: { GO: { actions: ['send:S', 'cancel:S'] }, S: { actions: 's' } } } } }, 'GO'),
  at('an exit action cancels', { initial: 'a', states: { a: { entry: 'send:S:10', exit: 'cancel:S', on: { GO: 'b', S: { actions: 's' } } }, b: { on: { S: { actions: 'too late' } } } } }, 'GO', 10),
  at('a computed delay', { initial: 'a', states: { a: { on: { GO: { actions: 'send:S:later' }, S: { actions: 's' } } } } }, 'GO', 6, 1),
  at('a delay that has no name', { initial: 'a', states: { a: { on: { GO: { actions: ['send:S:unknown', 'after'] }, S: { actions: 's' } } } } }, 'GO', 10),
  at('from the initial state', { initial: 'a', states: { a: { entry: ['send:S', 'entered'], on: { S: { actions: 's' } } } } }),
  at('to the parent where there is none', { initial: 'a', states: { a: { on: { GO: { actions: ['up:UP', 'after'] }, 'error.communication': { actions: 'told' } } } } }, 'GO'),
  at('to a child that is not there', { initial: 'a', states: { a: { on: { GO: { actions: ['to:nobody:HI', 'after'] }, 'error.communication': { actions: 'told' } } } } }, 'GO'),
];

const greeter = { initial: 'i', states: { i: { on: { HI: { actions: ['up:HELLO', 'greeted'] } } } } };
const worker = { initial: 'w', states: { w: { on: { WORK: 'f' } }, f: { type: 'final', data: { made: 1 } } } };
exports.children = [
  at('a callback sends back', begun({ invoke: { src: 'says:HI', id: 'c' }, on: { HI: 'b' } }), 'BEGIN'),
  at('a callback sends back later', begun({ invoke: { src: 'says:HI:10', id: 'c' }, on: { HI: 'b' } }), 'BEGIN', 10),
  at('a callback sends to a state that was left', begun({ invoke: { src: 'says:HI:10', id: 'c' }, on: { GO: 'b' } }, { b: { on: { HI: { actions: 'heard' } } } }), 'BEGIN', 'GO', 10),
  at('a callback receives', begun({ invoke: { src: 'one', id: 'c' }, on: { GO: { actions: ['to:c:HI', 'after'] } } }), 'BEGIN', 'GO'),
  at('a callback answers', begun({ invoke: { src: 'echo', id: 'c' }, on: { GO: { actions: ['to:c:HI', 'after'] }, ECHO: { actions: 'data:d' } } }, {}, { context: {} }), 'BEGIN', 'GO'),
  at('an entry action sends to the child of its state', begun({ entry: 'to:c:HI', invoke: { src: 'one', id: 'c' } }), 'BEGIN'),
  at('an exit action sends to the child of its state', begun({ exit: 'to:c:BYE', invoke: { src: 'one', id: 'c' }, on: { GO: 'b' } }), 'BEGIN', 'GO'),
  at('a delayed event to a child', begun({ invoke: { src: 'one', id: 'c' }, on: { GO: { actions: 'to:c:HI:10' } } }), 'BEGIN', 'GO', 10),
  at('a child is stopped by an action', begun({ invoke: { src: 'one', id: 'c' }, on: { GO: { actions: ['stop:c', 'after'] } } }), 'BEGIN', 'GO'),
  at('a child that is not there is stopped', begun({ on: { GO: { actions: ['stop:c', 'after'] } } }), 'BEGIN', 'GO'),
  family('a machine', { kid: worker }, begun({ invoke: { src: 'machine:kid', id: 'c', onDone: { target: 'b', actions: 'data:d' } }, on: { GO: { actions: 'to:c:WORK' } } }, {}, { context: {} }), 'BEGIN', 'GO'),
  family('a machine that is done at once', { kid: { initial: 'f', states: { f: { type: 'final', data: { at: 'once' } } } } }, begun({ invoke: { src: 'machine:kid', id: 'c', onDone: { target: 'b', actions: 'data:d' } } }, {}, { context: {} }), 'BEGIN'),
  family('a machine without data', { kid: { initial: 'f', states: { f: { type: 'final' } } } }, begun({ invoke: { src: 'machine:kid', id: 'c', onDone: { target: 'b', actions: 'data:d' } } }, {}, { context: {} }), 'BEGIN'),
  family('a machine is stopped when its state is left', { kid: { exit: 'kid ends', initial: 'w', states: { w: { exit: 'w ends' } } } }, begun({ invoke: { src: 'machine:kid', id: 'c' }, on: { GO: 'b' } }), 'BEGIN', 'GO'),
  family('a machine has its own context', { kid: { context: { k: 'own' }, initial: 'w', states: { w: { on: { WORK: 'f' } }, f: { type: 'final', data: { k: '$ctx:k', n: '$ctx:n' } } } } }, begun({ invoke: { src: 'machine:kid', id: 'c', onDone: { target: 'b', actions: 'data:d' } }, on: { GO: { actions: 'to:c:WORK' } } }, {}, { context: { n: 1 } }), 'BEGIN', 'GO'),
  family('data replaces the context of a machine', { kid: { context: { k: 'own' }, initial: 'w', states: { w: { on: { WORK: 'f' } }, f: { type: 'final', data: { k: '$ctx:k', n: '$ctx:n' } } } } }, begun({ invoke: { src: 'machine:kid', id: 'c', data: { n: '$ctx:n' }, onDone: { target: 'b', actions: 'data:d' } }, on: { GO: { actions: 'to:c:WORK' } } }, {}, { context: { n: 1 } }), 'BEGIN', 'GO'),
  family('a machine sends to its parent', { kid: greeter }, begun({ invoke: { src: 'machine:kid', id: 'c' }, on: { GO: { actions: 'to:c:HI' }, HELLO: { actions: 'heard' } } }), 'BEGIN', 'GO'),
  family('a machine sends to its parent when it is entered', { kid: { entry: 'up:HELLO', initial: 'i', states: { i: {} } } }, begun({ invoke: { src: 'machine:kid', id: 'c' }, on: { HELLO: 'b' } }), 'BEGIN'),
  family('a machine sends to its parent when it ends', { kid: { initial: 'w', states: { w: { on: { WORK: { target: 'f', actions: 'up:LAST' } } }, f: { type: 'final', entry: 'up:VERY_LAST' } } } }, begun({ invoke: { src: 'machine:kid', id: 'c', onDone: { actions: 'done' } }, on: { GO: { actions: 'to:c:WORK' }, LAST: { actions: 'last' }, VERY_LAST: { actions: 'very last' } } }), 'BEGIN', 'GO'),
  family('a machine has timers', { kid: { initial: 'w', states: { w: { after: { 10: 'f' } }, f: { type: 'final' } } } }, begun({ invoke: { src: 'machine:kid', id: 'c', onDone: 'b' } }), 'BEGIN', 9, 1),
  family('timers of a machine end with it', { kid: { initial: 'w', states: { w: { after: { 10: { actions: 'never' } } } } } }, begun({ invoke: { src: 'machine:kid', id: 'c' }, on: { GO: 'b' } }), 'BEGIN', 5, 'GO', 10),
  family('a machine invokes another', { kid: { initial: 's', states: { s: { on: { WORK: 'w' } }, w: { invoke: { src: 'machine:grandkid', id: 'g', onDone: 'f' } }, f: { type: 'final' } } }, grandkid: { initial: 'x', states: { x: { after: { 10: 'f' } }, f: { type: 'final' } } } }, begun({ invoke: { src: 'machine:kid', id: 'c', onDone: 'b' }, on: { GO: { actions: 'to:c:WORK' } } }), 'BEGIN', 'GO', 10),
  family('two machines, each with its own state', { kid: worker }, begun({ invoke: [{ src: 'machine:kid', id: 'c', onDone: { actions: 'c done' } }, { src: 'machine:kid', id: 'd', onDone: { actions: 'd done' } }], on: { C: { actions: 'to:c:WORK' }, D: { actions: 'to:d:WORK' } } }), 'BEGIN', 'D', 'C'),
  family('the order of what parent and child do', { kid: { initial: 'i', states: { i: { on: { HI: { actions: 'kid acts' } } } } } }, begun({ invoke: { src: 'machine:kid', id: 'c' }, on: { GO: { actions: ['before', 'to:c:HI', 'after'] } } }), 'BEGIN', 'GO'),
];

const listener = { initial: 'l', states: { l: { on: { '*': { actions: 'kid hears' } } } } };
exports.forwarding = [
  family('a machine gets what its parent gets', { kid: listener }, begun({ invoke: { src: 'machine:kid', id: 'c', autoForward: true }, on: { GO: { actions: 'handled' } } }), 'BEGIN', 'GO', 'OTHER'),
  family('without it a machine gets nothing', { kid: listener }, begun({ invoke: { src: 'machine:kid', id: 'c' }, on: { GO: { actions: 'handled' } } }), 'BEGIN', 'GO'),
  family('raised events are not forwarded', { kid: listener }, begun({ invoke: { src: 'machine:kid', id: 'c', autoForward: true }, on: { GO: { actions: 'raise:R' }, R: { actions: 'r' } } }), 'BEGIN', 'GO'),
  family('sent events are forwarded', { kid: listener }, begun({ invoke: { src: 'machine:kid', id: 'c', autoForward: true }, on: { GO: { actions: 'send:S' }, S: { actions: 's' } } }), 'BEGIN', 'GO'),
  family('timers are forwarded', { kid: listener }, begun({ invoke: { src: 'machine:kid', id: 'c', autoForward: true }, after: { 10: { actions: 'rang' } } }), 'BEGIN', 10),
  family('done events are forwarded', { kid: listener }, begun({ invoke: [{ src: 'machine:kid', id: 'c', autoForward: true }, { src: 'promise:yes', id: 'd', onDone: { actions: 'd done' } }] }), 'BEGIN'),
  family('the child gets the event before it is stopped by it', { kid: listener }, begun({ invoke: { src: 'machine:kid', id: 'c', autoForward: true }, on: { GO: 'b' } }), 'BEGIN', 'GO'),
];

exports.failures = [
  at('a guard that throws changes nothing', { context: { n: 0 }, initial: 'a', states: { a: { on: { GO: [{ target: 'b', cond: 'throws', actions: 'inc:n' }], OK: 'b' } }, b: {} } }, 'GO', 'OK'),
  at('a guard that throws in the second microstep', { context: { n: 0 }, initial: 'a', states: { a: { on: { GO: { target: 'b', actions: ['inc:n', 'acted'] } } }, b: { always: { target: 'c', cond: 'throws' } }, c: {} } }, 'GO'),
  at('a guard that throws on a raised event', { context: { n: 0 }, initial: 'a', states: { a: { on: { GO: { target: 'b', actions: ['inc:n', 'raise:R'] } } }, b: { on: { R: { target: 'c', cond: 'throws' } } }, c: {} } }, 'GO'),
  at('a guard with no implementation', { initial: 'a', states: { a: { on: { GO: { cond: 'unknown', target: 'b' } } }, b: {} } }, 'GO'),
  at('a service with no implementation', begun({ invoke: { src: 'unknown', id: 'c' } }), 'BEGIN'),
  at('a delay with no implementation', { initial: 'a', states: { a: { after: { unknown: 'b' } }, b: {} } }, 10),
];
