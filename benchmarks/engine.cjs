// The machines of engine.py on XState v4: prints a JSON object, events per second by name. XState is taken from the recorder.
'use strict';
const path = require('path');
const { createMachine, assign, actions } = require(
  path.join(__dirname, '..', 'tests', 'conformance', 'xstate', 'node_modules', 'xstate')
);

const nothing = () => {};
const build = (config) => createMachine({ id: 'm', predictableActionArguments: true, ...config });

const toggle = build({ initial: 'a', states: { a: { on: { T: 'b' } }, b: { on: { T: 'a' } } } });

const counter = build({
  initial: 'a', context: { n: 0 },
  states: { a: { on: { T: { cond: (c) => c.n >= 0, actions: assign({ n: (c) => c.n + 1 }) } } } },
});

const noisy = { entry: nothing, exit: nothing };
const branch = (other) => ({
  ...noisy, initial: 'x',
  states: { x: { ...noisy, initial: 'y', states: { y: { ...noisy, initial: 'z', states: { z: { ...noisy, on: { T: `#m.${other}` } } } } } } },
});
const hierarchy = build({ initial: 'one', states: { one: branch('two'), two: branch('one') } });

const region = { initial: 'x', states: { x: { on: { T: 'y' } }, y: { on: { T: 'x' } } } };
const parallel = build({ type: 'parallel', states: { one: region, two: region, three: region, four: region } });

const always = { initial: 's0', states: { s0: { on: { T: 's1' } } } };
for (let i = 1; i < 11; i++) always.states[`s${i}`] = { always: `s${(i + 1) % 11}` };
const chainOfAlways = build(always);

const raised = { initial: 's0', states: { s0: { on: { T: { target: 's1', actions: actions.raise('R') } } } } };
for (let i = 1; i < 10; i++) raised.states[`s${i}`] = { on: { R: { target: `s${i + 1}`, actions: actions.raise('R') } } };
raised.states.s10 = { on: { R: 's0' } };
const chainOfRaised = build(raised);

function perSecond(machine, step) {
  let state = machine.initialState;
  const run = (count) => { for (let i = 0; i < count; i++) state = step(machine, state); };
  run(2000);
  let best = 0;
  for (let round = 0; round < 5; round++) {
    let count = 0;
    const begin = process.cpuUsage();
    const seconds = () => { const used = process.cpuUsage(begin); return (used.user + used.system) / 1e6; };
    while (seconds() < 0.2) { run(200); count += 200; }
    best = Math.max(best, count / seconds());
  }
  return best;
}

const transition = (machine, state) => machine.transition(state, 'T');
const roundTrip = (machine, state) => machine.transition(machine.resolveState(JSON.parse(JSON.stringify(state))), 'T');

console.log(JSON.stringify({
  toggle: perSecond(toggle, transition),
  'guarded counter with assign': perSecond(counter, transition),
  'four levels, entry and exit actions': perSecond(hierarchy, transition),
  'four parallel regions': perSecond(parallel, transition),
  'chain of 10 always': perSecond(chainOfAlways, transition),
  'chain of 10 raised events': perSecond(chainOfRaised, transition),
  'toggle, snapshot through JSON': perSecond(toggle, roundTrip),
}));
