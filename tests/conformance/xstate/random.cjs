// Machines and events drawn from seeds: the same on every machine and every day.
//
// They stay clear of what the named cases show to differ (internal transitions to what is active, several raised events at
// once, own actions of several regions at once, what an eventless transition sees, invocations), so that nearly all have to
// agree. Half of the seeds draw trees of compound states, half draw machines with a parallel state.
'use strict';

const SEEDS = 60;
const EVENTS = ['A', 'A', 'B', 'B', 'C', 'C', 'OUT', 'BACK', 'BACK', 5, 10];

// mulberry32: a small generator of 32 bits; all it has to be is the same everywhere.
function generator(seed) {
  let state = seed * 2654435761;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

class Drawing {
  constructor(seed) {
    this.next = generator(seed);
    this.hasAlways = this.chance(40);
    this.nodes = []; // { path, config, parent }
  }

  below(count) { return Math.floor(this.next() * count); }
  chance(percent) { return this.below(100) < percent; }
  pick(list) { return list[this.below(list.length)]; }

  tree(parent, path, depth) {
    const node = { path, config: {}, parent };
    this.nodes.push(node);
    if (depth === 0 || (path.length > 0 && this.chance(55))) return node;
    const keys = ['a', 'b', 'c'].slice(0, 2 + this.below(2));
    node.config.initial = this.pick(keys);
    node.config.states = Object.fromEntries(keys.map((key) => [key, this.tree(node, [...path, key], depth - 1).config]));
    return node;
  }

  name(node) { return `#${['m', ...node.path].join('.')}`; }
  isInside(node, other) { return node === other || (node.parent !== null && this.isInside(node.parent, other)); }

  action(node, event) {
    const choices = [`${node.path.join('.') || 'root'} acts`, 'inc:n', 'set:n:'];
    if (!this.hasAlways) choices.push('see:e');
    if (event === 'A') choices.push('raise:R');
    if (event === 'B') choices.push('send:S');
    return this.pick(choices);
  }

  transition(node, event, targets) {
    const found = {};
    if (this.chance(80)) found.target = this.name(this.pick(targets));
    if (this.chance(40)) found.actions = this.action(node, event);
    if (this.chance(30)) found.cond = this.pick(['zero:n', 'zero:n', 'no', 'yes']);
    return found;
  }

  // Transitions, timers and actions of one state; targets are any states, or those given.
  furnish(node, targets, events) {
    const { config } = node;
    if (this.chance(40)) config.entry = [`${node.path.join('.')} in`];
    if (this.chance(15)) config.exit = ['inc:n'];
    const on = {};
    for (const event of events) {
      if (this.chance('ABC'.includes(event) ? 55 : 30)) on[event] = Array.from({ length: 1 + this.below(2) }, () => this.transition(node, event, targets));
    }
    if (Object.keys(on).length) config.on = on;
    if (this.chance(15)) config.after = { [this.pick([5, 10])]: this.transition(node, '', targets) };
    if (this.hasAlways && !config.states && this.chance(25)) {
      config.always = { target: this.name(this.pick(targets)), cond: 'zero:n', actions: 'inc:n' };
    }
    if (config.states && node.path.length && this.chance(50)) config.onDone = this.name(this.pick(targets));
  }

  history(node) {
    node.config.states.h = { type: 'history', ...(this.chance(50) ? { history: 'deep' } : {}) };
    const outside = this.nodes.filter((other) => !this.isInside(other, node) && !this.isInside(node, other) && other.config.type !== 'final');
    for (const other of outside) other.config.on = { ...other.config.on, BACK: `${this.name(node)}.h` };
  }

  compound() {
    const root = this.tree(null, [], 3);
    const leaves = this.nodes.filter((node) => !node.config.states && node.path.length > 1);
    leaves.filter(() => this.chance(15)).forEach((node) => { node.config.type = 'final'; });
    for (const node of this.nodes) if (node.config.type !== 'final') this.furnish(node, this.nodes.slice(1), ['A', 'B', 'C', 'R', 'S', 'OUT']);
    const parents = this.nodes.filter((node) => node.config.states && node.path.length);
    if (parents.length && this.chance(70)) this.history(this.pick(parents));
    return root.config;
  }

  // o <-> p, p parallel; in each region only events of its own have actions, and C moves all at once.
  parallel() {
    this.hasAlways = false;
    const regions = {};
    ['A', 'B', 'R'].slice(0, 2 + this.below(2)).forEach((event, index) => {
      const region = { path: ['p', `r${index}`], config: {}, parent: null };
      const keys = ['x', 'y', 'z'].slice(0, 2 + this.below(2));
      const children = keys.map((key) => ({ path: [...region.path, key], config: {}, parent: region }));
      if (this.chance(40)) children[children.length - 1].config.type = 'final';
      for (const child of children) {
        if (child.config.type === 'final') continue;
        this.furnish(child, children, [event]);
        delete child.config.after;
        if (this.chance(60)) child.config.on = { ...child.config.on, C: this.name(this.pick(children)) };
      }
      regions[`r${index}`] = { initial: this.pick(keys), states: Object.fromEntries(keys.map((key, at) => [key, children[at].config])) };
    });
    const p = { type: 'parallel', states: regions, on: { OUT: 'o' } };
    if (this.chance(40)) p.onDone = 'o';
    if (this.chance(30)) p.after = { 10: { actions: 'p rings' } };
    if (this.chance(60)) regions.h = { type: 'history', history: 'deep' };
    return { initial: this.pick(['o', 'p', 'p']), states: { o: { on: { BACK: regions.h ? 'p.h' : 'p' } }, p } };
  }
}

exports.random = Array.from({ length: SEEDS }, (_, index) => {
  const drawing = new Drawing(index + 1);
  const machine = { context: { n: 0 }, ...(index % 2 ? drawing.parallel() : drawing.compound()) };
  const events = Array.from({ length: 12 }, () => drawing.pick(EVENTS));
  return { name: `seed ${index + 1}`, machine, events };
});
