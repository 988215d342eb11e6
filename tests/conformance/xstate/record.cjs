// Runs every case of cases*.cjs and random.cjs on XState v4 with a simulated clock; writes one recording per topic.
//
// A machine is JSON. Its actions are names: "raise:A", "send:A", "send:A:10" (delay in ms or a name), "send:A:10:id",
// "cancel:A", "inc:n", "set:k:v", "see:k" (context[k] = type of the event), "data:k" (its data), "pick:n" (a `choose` on the
// guard "zero:n"), "pure:x+y" (`pure` returns x and y), "log:text", "to:child:A" (`sendTo`), "to:child:A:10", "up:A" (`sendParent`),
// "stop:child"; any other name is written to the trace when it runs, with its parameters, where it has some. Guards: "yes",
// "no", "zero:n", "event:T", "throws". A string "$ctx:k" in data is computed from the context.
//
// Services: "one", "two", "three" (callbacks that say what happens to them), "promise:x" and "failing:x" (with ":10" after ten
// milliseconds), "says:A" (a callback that sends A back, with ":10" later), "echo" (a callback that answers ECHO to everything),
// "tells" (a callback that says its context), "throwing" (it throws), "machine:k" (the machine children[k] of the case).
//
// More actions: "answer:A" (`respond`, "answer:A:10" later), "pass:child" (`forwardTo`, "pass:child:10"), "escalate:x",
// "start:beep". Activities: "beep", "flash", which say that they start and stop. With `written` the recorded machine is the
// JSON that XState makes of the one it runs. `asks` says what states are asked, `resolves` for which values there is a state.
'use strict';
const fs = require('fs');
const path = require('path');
const { createMachine, interpret, assign, actions, State } = require('xstate');

const TOPICS = { ...require('./cases.cjs'), ...require('./cases_actors.cjs'), ...require('./cases_surface.cjs'), ...require('./random.cjs') };
const LONGEST = 200; // a trace of an endless loop is cut
const ACTION_KEYS = new Set(['entry', 'exit', 'actions']);

// -- the vocabulary ----------------------------------------------------------------------------------------------------

function names(config, found, key) {
  if (typeof config === 'string') {
    if (ACTION_KEYS.has(key)) found.add(config);
  } else if (Array.isArray(config)) {
    config.forEach((item) => names(item, found, key));
  } else if (config && typeof config === 'object') {
    if (ACTION_KEYS.has(key) && config.type && !config.type.startsWith('xstate.')) found.add(config.type);
    for (const [name, item] of Object.entries(config)) names(item, found, name);
  }
  return found;
}

function strings(config, found = new Set()) {
  if (typeof config === 'string') found.add(config);
  else if (config && typeof config === 'object') Object.values(config).forEach((item) => strings(item, found));
  return found;
}

const delayed = (text) => (text === undefined ? {} : { delay: /^\d+$/.test(text) ? Number(text) : text });

function action(name, trace) {
  const [word, first, second, third] = name.split(':');
  switch (word) {
    case 'raise': return actions.raise(first);
    case 'send': return actions.send(first, { ...delayed(second), ...(third ? { id: third } : {}) });
    case 'cancel': return actions.cancel(first);
    case 'inc': return assign({ [first]: (context) => (context[first] || 0) + 1 });
    case 'set': return assign({ [first]: second });
    case 'see': return assign({ [first]: (context, event) => event.type });
    case 'data': return assign({ [first]: (context, event) => (event.data === undefined ? null : event.data) });
    case 'pick': return actions.choose([{ cond: `zero:${first}`, actions: ['picked zero'] }, { actions: ['picked other'] }]);
    case 'pure': return actions.pure(() => name.slice(5).split('+'));
    case 'log': return actions.log(first);
    case 'to': return actions.sendTo(first, { type: second }, delayed(third));
    case 'up': return actions.sendParent(first);
    case 'stop': return actions.stop(first);
    case 'start': return actions.start(first);
    case 'answer': return actions.respond(first, delayed(second));
    case 'pass': return actions.forwardTo(first, delayed(second));
    case 'escalate': return actions.escalate(first);
    default: return (context, event, meta) => {
      const { type, exec, ...parameters } = meta.action;
      trace.push(Object.keys(parameters).length ? `${name} ${JSON.stringify(parameters)}` : name);
    };
  }
}

function guard(name) {
  const [word, first] = name.split(':');
  if (word === 'yes' || word === 'no') return () => word === 'yes';
  if (word === 'throws') return () => { throw new Error('a guard throws'); };
  if (word === 'zero') return (context) => !context[first];
  if (word === 'event') return (context, event) => event.type === first;
  return undefined;
}

function service(name, trace, clock, children) {
  const [word, first, second] = name.split(':');
  const soon = (act) => (second === undefined ? act() : clock.setTimeout(act, Number(second)));
  switch (word) {
    case 'one': case 'two': case 'three': return () => (sendBack, receive) => {
      trace.push(`start ${name}`);
      receive((event) => trace.push(`${name} gets ${event.type}`));
      return () => trace.push(`stop ${name}`);
    };
    case 'promise': case 'failing': return () => {
      trace.push(`start ${name}`);
      return new Promise((resolve, reject) => soon(() => (word === 'promise' ? resolve : reject)(first)));
    };
    case 'says': return () => (sendBack) => { trace.push(`start ${name}`); soon(() => sendBack({ type: first })); };
    case 'echo': return () => (sendBack, receive) => receive((event) => sendBack({ type: 'ECHO', data: event.type }));
    case 'tells': return (context) => () => { trace.push(`tells ${JSON.stringify(context)}`); };
    case 'throwing': return () => { throw 'thrown'; };
    case 'machine': return machineOf(children[first], first, trace, clock, children);
    default: return undefined;
  }
}

function withFunctions(config) {
  if (typeof config === 'string' && config.startsWith('$ctx:')) return (context) => (context[config.slice(5)] === undefined ? null : context[config.slice(5)]);
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

function machineOf(written, where, trace, clock, children) {
  const config = { predictableActionArguments: true, ...instrumented({ id: where || 'm', ...written }, where) };
  const parts = { actions: {}, activities: {}, guards: {}, services: {}, delays: { soon: 5, later: () => 7 } };
  const all = names(config, new Set());
  for (const name of [...all]) if (name.startsWith('pure:')) name.slice(5).split('+').forEach((item) => all.add(item));
  ['picked zero', 'picked other'].forEach((name) => all.add(name));
  for (const name of all) parts.actions[name] = action(name, trace);
  for (const name of ['beep', 'flash']) {
    parts.activities[name] = () => { trace.push(`start ${name}`); return () => trace.push(`stop ${name}`); };
  }
  for (const text of strings(config)) {
    const name = text.replace(/^pick:/, 'zero:');
    if (guard(name)) parts.guards[name] = guard(name);
    const found = service(text, trace, clock, children);
    if (found) parts.services[text] = found;
  }
  return createMachine(withFunctions(config), parts);
}

// -- time --------------------------------------------------------------------------------------------------------------

const settled = async () => { for (let i = 0; i < 3; i++) await new Promise(setImmediate); };

// Due timers go off one by one, in order, and what promises do comes after each, as in an event loop.
class Clock {
  constructor() { this.now = 0; this.started = 0; this.timers = new Map(); }
  setTimeout(act, delay) { this.timers.set(++this.started, { due: this.now + Math.max(0, delay), act }); return this.started; }
  clearTimeout(id) { this.timers.delete(id); }
  async increment(milliseconds) {
    const until = this.now + milliseconds;
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.due <= until).sort((a, b) => a[1].due - b[1].due || a[0] - b[0])[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.now = due[1].due;
      due[1].act();
      await settled();
    }
    this.now = until;
  }
}

// -- recording ---------------------------------------------------------------------------------------------------------

const attempted = (ask) => { try { return ask(); } catch (error) { return 'error'; } };

function asked(state, { events, tags, values }) {
  return {
    can: Object.fromEntries(events.map((event) => [event, state.can(event)])),
    hasTag: Object.fromEntries(tags.map((tag) => [tag, state.hasTag(tag)])),
    matches: values.map((value) => state.matches(value)),
    meta: state.meta,
    nextEvents: state.nextEvents.filter((event) => event !== '').sort(),
    strings: state.toStrings().sort(),
  };
}

async function record({ name, machine, children, sees, written, asks, resolves, events }) {
  const trace = [];
  const clock = new Clock();
  const steps = [];
  let actor, output = null;
  const attempt = async (event, run) => {
    const step = { event };
    try { await run(); await settled(); } catch (error) { step.error = true; }
    step.actions = trace.length > LONGEST ? [...trace.splice(0).slice(0, 4), '…'] : trace.splice(0);
    const state = actor && actor.getSnapshot();
    if (state) {
      step.value = state.value;
      if (state.context && Object.keys(state.context).length) step.context = state.context;
      if (state.done) Object.assign(step, { done: true, output: output === undefined ? null : output });
      if (sees) Object.assign(step, { tags: [...state.tags].sort(), meta: state.meta });
      if (sees && event !== null) step.changed = !!state.changed;
      if (asks) step.asked = asked(state, asks);
      if (resolves) step.resolved = resolves.map((value) => attempted(() => actor.machine.resolveState(State.from(value, {})).value));
    }
    steps.push(JSON.parse(JSON.stringify(step)));
  };
  await attempt(null, () => {
    const logger = (...parts) => trace.push(`log ${parts[parts.length - 1]}`);
    actor = interpret(machineOf(machine, '', trace, clock, children), { clock, logger, devTools: false });
    actor.onDone((event) => { output = event.data; });
    actor.start();
  });
  for (const event of events) {
    await attempt(event, () => (typeof event === 'number' ? clock.increment(event) : actor.send(event)));
  }
  const recorded = written ? JSON.parse(JSON.stringify(machineOf(machine, '', trace, clock, children))) : machine;
  return { name, machine: recorded, ...(written ? { written } : {}), ...(asks ? { asks } : {}), ...(resolves ? { resolves } : {}), ...(children ? { children } : {}), ...(sees ? { sees } : {}), steps };
}

async function main() {
  const target = path.join(__dirname, 'recordings');
  fs.rmSync(target, { recursive: true, force: true });
  fs.mkdirSync(target);
  let count = 0;
  for (const [topic, cases] of Object.entries(TOPICS)) {
    const recordings = [];
    for (const one of cases) recordings.push(JSON.stringify(await record(one)));
    count += recordings.length;
    fs.writeFileSync(path.join(target, `${topic}.json`), `[\n${recordings.join(',\n')}\n]\n`);
  }
  console.log(`${count} cases of ${Object.keys(TOPICS).length} topics recorded with xstate ${require('xstate/package.json').version}`);
}

console.warn = () => {};
console.error = () => {};
process.on('unhandledRejection', () => {});
main();
