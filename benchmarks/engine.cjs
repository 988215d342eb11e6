// One face of XState at work for engine.py: `node engine.cjs v4|v5|actor`.
//
// Reads lines {"workload", "seconds"} and answers each with {"count", "seconds", "where"}: how many events (or builds) it did,
// in how much processor time of this process, and where the machine of the workload stands by now.
'use strict';
const readline = require('readline');
const v4 = require('xstate4');
const v5 = require('xstate5');

const FACE = process.argv[2];
const is4 = FACE === 'v4';
const { createMachine, assign } = is4 ? v4 : v5;
const raise = is4 ? v4.actions.raise : v5.raise;

const nothing = () => {};
const build = (config) => createMachine({ id: 'm', ...(is4 ? { predictableActionArguments: true } : {}), ...config });

// -- the machines, as in engine_perdure.py -----------------------------------------------------------------------------

const toggle = { initial: 'a', states: { a: { on: { T: 'b' } }, b: { on: { T: 'a' } } } };

const counting = is4
  ? { cond: (context) => context.n >= 0, actions: assign({ n: (context) => context.n + 1 }) }
  : { guard: ({ context }) => context.n >= 0, actions: assign({ n: ({ context }) => context.n + 1 }) };

const noisy = { entry: nothing, exit: nothing };
const branch = (other) => ({
  ...noisy, initial: 'x',
  states: { x: { ...noisy, initial: 'y', states: { y: { ...noisy, initial: 'z', states: { z: { ...noisy, on: { T: `#m.${other}` } } } } } } },
});

const region = { initial: 'x', states: { x: { on: { T: 'y' } }, y: { on: { T: 'x' } } } };

function ring(size) {
  const states = {};
  for (let i = 0; i < size; i++) states[`s${i}`] = { on: { T: `s${(i + 1) % size}` } };
  return { initial: 's0', states };
}

// From a to b and from b to a, each through ten states that are left at once.
function chains(first, link) {
  const states = {};
  for (const [from, to] of [['a', 'b'], ['b', 'a']]) {
    states[from] = { on: { T: first(`${from}1`) } };
    for (let i = 1; i <= 10; i++) states[`${from}${i}`] = link(i < 10 ? `${from}${i + 1}` : to, i === 10);
  }
  return { initial: 'a', states };
}

const CONFIGS = {
  'toggle': toggle,
  'guarded counter with assign': { initial: 'a', context: { n: 0 }, states: { a: { on: { T: counting } } } },
  'four levels, entry and exit actions': { initial: 'one', states: { one: branch('two'), two: branch('one') } },
  'four parallel regions': { type: 'parallel', states: { one: region, two: region, three: region, four: region } },
  'ring of 200 states': ring(200),
  'ring of 2,000 states': ring(2000),
  'chain of 10 always': chains((target) => target, (target) => ({ always: target })),
  'chain of 10 raised events': chains(
    (target) => ({ target, actions: raise(is4 ? 'R' : { type: 'R' }) }),
    (target, last) => ({ on: { R: last ? target : { target, actions: raise(is4 ? 'R' : { type: 'R' }) } } })
  ),
  'toggle, snapshot through JSON': toggle,
  'building 1,000 states': ring(1000),
};

// -- what one event is, by face ----------------------------------------------------------------------------------------

const EVENT = { type: 'T' };
const fresh = (machine) => (is4 ? machine.initialState : v5.initialTransition(machine)[0]);
const next = is4 ? (machine, state) => machine.transition(state, 'T') : (machine, state) => v5.transition(machine, state, EVENT)[0];
const stored = (machine, state) => machine.resolveState(JSON.parse(JSON.stringify(state)));

function session(workload) {
  const config = CONFIGS[workload];
  if (workload.startsWith('building')) {
    let states = 0;
    return {
      step: () => { const machine = build(config); next(machine, fresh(machine)); states = Object.keys(machine.states).length; },
      where: () => `${states}`,
    };
  }
  const machine = build(config);
  const place = (state) => (workload.startsWith('guarded') ? `${state.context.n}` : flat(state.value));
  if (FACE === 'actor') {
    let actor = v5.createActor(machine).start();
    const again = () => { actor = v5.createActor(machine, { snapshot: JSON.parse(JSON.stringify(actor.getPersistedSnapshot())) }).start(); };
    const send = () => actor.send(EVENT);
    return { step: workload.endsWith('JSON') ? () => { again(); send(); } : send, where: () => place(actor.getSnapshot()) };
  }
  let state = fresh(machine);
  const step = workload.endsWith('JSON') ? () => { state = next(machine, stored(machine, state)); } : () => { state = next(machine, state); };
  return { step, where: () => place(state) };
}

const flat = (value) => (typeof value === 'string' ? value : Object.entries(value).map(([key, below]) => `${key}.${flat(below)}`).join(' '));

function measure({ step }, seconds, batch) {
  let count = 0;
  const begin = process.cpuUsage();
  for (;;) {
    for (let i = 0; i < batch; i++) step();
    count += batch;
    const used = process.cpuUsage(begin);
    const spent = (used.user + used.system) / 1e6;
    if (spent >= seconds) return { count, seconds: spent };
  }
}

let current = {};
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { workload, seconds } = JSON.parse(line);
  if (current.workload !== workload) current = { workload, ...session(workload), batch: 1 };
  const result = measure(current, seconds, current.batch);
  current.batch = Math.max(1, Math.min(1000, Math.floor((result.count / result.seconds) * 0.005)));
  console.log(JSON.stringify({ ...result, where: current.where() }));
});
