// Runs every case of cases.cjs on XState v4 with a simulated clock and writes one recording per topic.
//
// A machine is JSON. Its actions are names: "raise:A", "send:A", "send:A:10" (delay in ms), "cancel:A", "inc:n", "set:k:v",
// "see:k" (context[k] = type of the event), "pick:n" (a `choose` on the guard "zero:n"); any other name is written to the
// trace when it runs. Guards: "yes", "no", "zero:n", "event:T". A string "$ctx:k" in final data is computed from the context.
// Services only say that they start and stop.
'use strict';
const fs = require('fs');
const path = require('path');
const { createMachine, interpret, assign, actions } = require('xstate');
const { SimulatedClock } = require('xstate/lib/SimulatedClock');
const topics = require('./cases.cjs');

const ACTION_KEYS = new Set(['entry', 'exit', 'actions']);

function names(config, found, key) {
  if (typeof config === 'string') {
    if (ACTION_KEYS.has(key)) found.add(config);
  } else if (Array.isArray(config)) {
    config.forEach((item) => names(item, found, key));
  } else if (config && typeof config === 'object') {
    for (const [name, item] of Object.entries(config)) names(item, found, name);
  }
  return found;
}

function strings(config, found = new Set()) {
  if (typeof config === 'string') found.add(config);
  else if (config && typeof config === 'object') Object.values(config).forEach((item) => strings(item, found));
  return found;
}

function action(name, trace) {
  const [word, first, second] = name.split(':');
  switch (word) {
    case 'raise': return actions.raise(first);
    case 'send': return actions.send(first, second === undefined ? {} : { delay: Number(second) });
    case 'cancel': return actions.cancel(first);
    case 'inc': return assign({ [first]: (context) => (context[first] || 0) + 1 });
    case 'set': return assign({ [first]: second });
    case 'see': return assign({ [first]: (context, event) => event.type });
    case 'pick': return actions.choose([{ cond: `zero:${first}`, actions: ['picked zero'] }, { actions: ['picked other'] }]);
    default: return () => trace.push(name);
  }
}

function guard(name) {
  const [word, first] = name.split(':');
  if (word === 'yes' || word === 'no') return () => word === 'yes';
  if (word === 'zero') return (context) => !context[first];
  if (word === 'event') return (context, event) => event.type === first;
  return undefined;
}

function withFunctions(config) {
  if (typeof config === 'string' && config.startsWith('$ctx:')) return (context) => context[config.slice(5)];
  if (Array.isArray(config)) return config.map(withFunctions);
  if (config && typeof config === 'object') {
    return Object.fromEntries(Object.entries(config).map(([key, item]) => [key, withFunctions(item)]));
  }
  return config;
}

// Every state says when it is entered and left: "+a.b" before its own entry actions, "-a.b" before its own exit actions.
function instrumented(config, where) {
  if (config.type === 'history' || config.history) return config;
  const list = (value) => (value === undefined ? [] : [].concat(value));
  const result = { ...config, entry: [`+${where}`, ...list(config.entry)], exit: [`-${where}`, ...list(config.exit)] };
  if (config.states) {
    const below = (key) => (where === '' ? key : `${where}.${key}`);
    result.states = Object.fromEntries(
      Object.entries(config.states).map(([key, state]) => [key, instrumented(state, below(key))])
    );
  }
  return result;
}

function record({ name, machine, events }) {
  const trace = [];
  const config = { predictableActionArguments: true, ...instrumented({ id: 'm', ...machine }, '') };
  const implementations = { actions: {}, guards: {}, services: {}, delays: { soon: 5 } };
  const all = names(config, new Set());
  ['picked zero', 'picked other'].forEach((item) => all.add(item));
  for (const item of all) implementations.actions[item] = action(item, trace);
  for (const item of [...strings(config)].map((text) => text.replace(/^pick:/, 'zero:'))) {
    if (guard(item)) implementations.guards[item] = guard(item);
  }
  for (const service of ['one', 'two', 'three']) {
    implementations.services[service] = () => (sendBack, receive) => {
      trace.push(`start ${service}`);
      receive((event) => trace.push(`${service} gets ${event.type}`));
      return () => trace.push(`stop ${service}`);
    };
  }
  const clock = new SimulatedClock();
  const steps = [];
  let service, output = null;
  const snap = (event, error) => {
    const state = service && service.getSnapshot();
    const step = { event, actions: trace.splice(0) };
    if (error) step.error = true;
    if (state) Object.assign(step, { value: state.value, context: state.context || {}, done: !!state.done });
    if (state && state.done) step.output = output === undefined ? null : output;
    steps.push(JSON.parse(JSON.stringify(step)));
  };
  const attempt = (event, run) => {
    try { run(); snap(event, false); } catch (error) { snap(event, true); }
  };
  attempt(null, () => {
    service = interpret(createMachine(withFunctions(config), implementations), { clock, devTools: false });
    service.onDone((event) => { output = event.data; });
    service.start();
  });
  for (const event of events) {
    attempt(event, () => (typeof event === 'number' ? clock.increment(event) : service.send(event)));
  }
  return { name, machine: config, steps };
}

console.warn = () => {};
const target = path.join(__dirname, 'recordings');
fs.rmSync(target, { recursive: true, force: true });
fs.mkdirSync(target);
let count = 0;
for (const [topic, cases] of Object.entries(topics)) {
  const recordings = cases.map(record);
  count += recordings.length;
  fs.writeFileSync(path.join(target, `${topic}.json`), JSON.stringify(recordings, null, 1) + '\n');
}
console.log(`${count} cases of ${Object.keys(topics).length} topics recorded with xstate ${require('xstate/package.json').version}`);
