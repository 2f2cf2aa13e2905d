/**
 * The status screen of a battery system: every block with voltage, impedance, charge, duty, temperature and state.
 *
 * One file without dependencies. Data comes from the integration's command `ridethrough/battery/subscribe`: a snapshot,
 * then once a second what has changed. Elements are made once; after that only changed cells are written, in one
 * animation frame. What comes from outside is only ever set as text.
 */

const WORDS = {
  en: {
    number: "No.", voltage: "Voltage", impedance: "Impedance", charge: "Charge", duty: "Balancing",
    temperature: "Temperature", state: "State",
    normal: "Normal", warning: "Warning", alarm: "Alarm", lost: "Lost", unknown: "Unknown",
    of_alarm: "alarm", of_lost: "lost", of_warning: "warning", of_unknown: "unknown",
    charging: "Charging", discharging: "Discharging", floating: "Float", resting: "At rest",
    total: "Total", average: "Mean block", target: "Target", current: "DC current", power: "Real power",
    current_ac: "AC current", strings: "Strings", blocks: "blocks", of_strings: "strings", string: "String", block: "Block",
    discharges: "Discharges", ripple: "Ripple", paused: "Balancing paused", no: "no", limits: "Limits",
    equalizing_range: "Balancing range", low_alarm: "Low alarm", low_warning: "Low warning",
    high_warning: "High warning", high_alarm: "High alarm", mean: "Mean",
    info: "About the system", type: "Battery", installed: "Installed", location: "Location", contact: "Contact",
    nominal: "Nominal voltage", capacity: "Capacity", module_type: "Module type", hardware: "Hardware",
    firmware: "Firmware", baseline: "Impedance when new", note: "Note", stale: "out of date",
    offline: "The bridge is not connected. These values are old.",
    waiting: "Waiting for the battery system …",
    gone: "This battery system is not there at the moment.",
    denied: "You are not allowed to see this battery system.",
    choose: "Choose a battery system in the settings of this card.",
    no_impedance: "No impedance measured yet", boost: "No charge can be told during boost charge",
    find: "Find (blink)", release: "Stop blinking", measure: "Measure impedance", open: "Open device",
    close: "Close", sent: "Done.", show: "Show as bars", all_good: "all normal", updated: "Updated",
    number_in_system: "Number in the system", conditions: "What is wrong", link: "Link",
    device_id: "Battery system", name: "Title", layout: "Strings", layout_tabs: "One at a time",
    layout_all: "All at once", numbers: "Numbers of blocks", numbers_string: "Within the string",
    numbers_system: "Within the system", hide_overview: "Hide the overview of all blocks",
    description: "Every block of a battery system, as bars and as a table that can be sorted.",
  },
  de: {
    number: "Nr.", voltage: "Spannung", impedance: "Impedanz", charge: "Ladung", duty: "Ausgleich",
    temperature: "Temperatur", state: "Zustand",
    normal: "Normal", warning: "Warnung", alarm: "Alarm", lost: "Verloren", unknown: "Unbekannt",
    of_alarm: "Alarm", of_lost: "verloren", of_warning: "Warnung", of_unknown: "unbekannt",
    charging: "Laden", discharging: "Entladen", floating: "Erhaltung", resting: "In Ruhe",
    total: "Gesamt", average: "Mittlerer Block", target: "Ziel", current: "Gleichstrom", power: "Wirkleistung",
    current_ac: "Wechselstrom", strings: "Stränge", blocks: "Blöcke", of_strings: "Stränge", string: "Strang", block: "Block",
    discharges: "Entladungen", ripple: "Welligkeit", paused: "Ausgleich pausiert", no: "nein", limits: "Grenzen",
    equalizing_range: "Ausgleichsbereich", low_alarm: "Alarm unten", low_warning: "Warnung unten",
    high_warning: "Warnung oben", high_alarm: "Alarm oben", mean: "Mittel",
    info: "Zum System", type: "Batterie", installed: "Eingebaut", location: "Ort", contact: "Kontakt",
    nominal: "Nennspannung", capacity: "Kapazität", module_type: "Modultyp", hardware: "Hardware",
    firmware: "Firmware", baseline: "Impedanz im Neuzustand", note: "Notiz", stale: "veraltet",
    offline: "Die Bridge ist nicht verbunden. Diese Werte sind alt.",
    waiting: "Warte auf das Batteriesystem …",
    gone: "Dieses Batteriesystem ist im Moment nicht da.",
    denied: "Sie dürfen dieses Batteriesystem nicht sehen.",
    choose: "Wählen Sie in den Einstellungen dieser Karte ein Batteriesystem.",
    no_impedance: "Noch keine Impedanz gemessen", boost: "Während der Starkladung ist keine Ladung bestimmbar",
    find: "Finden (blinken)", release: "Nicht mehr blinken", measure: "Impedanz messen", open: "Gerät öffnen",
    close: "Schließen", sent: "Erledigt.", show: "Als Balken", all_good: "alle normal", updated: "Stand",
    number_in_system: "Nummer im System", conditions: "Was nicht stimmt", link: "Verbindung",
    device_id: "Batteriesystem", name: "Titel", layout: "Stränge", layout_tabs: "Einer zurzeit",
    layout_all: "Alle zugleich", numbers: "Nummern der Blöcke", numbers_string: "Im Strang",
    numbers_system: "Im System", hide_overview: "Übersicht aller Blöcke ausblenden",
    description: "Jeder Block eines Batteriesystems, als Balken und als sortierbare Tabelle.",
  },
};

/** Columns of a block: unit, decimals, and how it is drawn (`track`: a mark between limits; `fill`: from zero). */
const COLUMNS = {
  voltage: { unit: "V", digits: 3, draw: "track", limit: "module.voltage", wrong: /^module\.voltage/ },
  impedance: { unit: "mΩ", digits: 2, draw: "fill", limit: "module.impedance", wrong: /^module\.impedance/ },
  charge: { unit: "%", digits: 0, draw: "fill", limit: "module.charge", wrong: /^module\.charge/ },
  duty: { unit: "%", digits: 0, draw: "fill", wrong: /^equalizing_(error|deactivated)/ },
  temperature: { unit: "°C", digits: 1, draw: "track", limit: "module.temperature", wrong: /^module\.temperature/ },
};
const METRICS = Object.keys(COLUMNS);
const FOOTER = {
  voltage: ["total", "V", 1], average: ["average", "V", 3], target: ["target", "V", 3], charge: ["charge", "%", 0],
  current: ["current", "A", 2], power: ["power", "kW", 2], current_ac: ["current_ac", "A", 2],
};
const INFO = ["type", "nominal", "capacity", "installed", "location", "contact", "module_type", "hardware", "firmware"];
const UNITS = { nominal: ["V", 1], capacity: ["Ah", 0] };
const GRAVITY = { alarm: 4, lost: 3, warning: 2, unknown: 1, normal: 0 };
/** Our own drawings, in a box of 24: a shape for each state, so that colour is not the only sign. */
const SHAPES = {
  normal: "M9.2 16.6 4.8 12.2 3.4 13.6l5.8 5.8L21 7.6l-1.4-1.4z",
  warning: "M12 3 1.5 21h21L12 3zm-1 7h2v5h-2zm0 6.5h2v2h-2z",
  alarm: "M8 2h8l6 6v8l-6 6H8l-6-6V8zm3 4v8h2V6zm0 10v2.4h2V16z",
  lost: "M6.4 4.9 4.9 6.4 10.6 12l-5.7 5.6 1.5 1.5L12 13.4l5.6 5.7 1.5-1.5L13.4 12l5.7-5.6-1.5-1.5L12 10.6z",
  unknown: "M11 17.5h2.2V20H11zM12 4a5 5 0 0 0-5 5h2.2a2.8 2.8 0 1 1 4.6 2.1C12.3 12.4 11 13.3 11 15.5h2.2c0-1.6 3.8-2.5 3.8-6.5a5 5 0 0 0-5-5z",
};
/** Shortest time between two sortings while values change, ms: rows that jump cannot be read. */
const RESORT = 5000;
/** Time until a battery system that is not there is asked for again, ms. */
const RETRY = 5000;

const STYLE = `
:host { display: block; height: 100%;
  --ok: var(--success-color, #43a047); --warn: var(--warning-color, #ffa600); --bad: var(--error-color, #db4437);
  --dim: var(--secondary-text-color, #727272); --line: var(--divider-color, rgba(127, 127, 127, .25));
  --ink: var(--primary-text-color, #212121); --accent: var(--primary-color, #03a9f4);
  --paper: var(--ha-card-background, var(--card-background-color, #fff));
  color: var(--ink); font-size: 14px; line-height: 1.35; }
ha-card { display: block; height: 100%; overflow: auto; container-type: inline-size; box-sizing: border-box; }
.inner { padding: 16px; display: grid; gap: 14px; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
svg { width: 1.2em; height: 1.2em; fill: currentColor; vertical-align: -.22em; flex: none; }
[data-state="normal"] { --tone: var(--ok); } [data-state="warning"] { --tone: var(--warn); }
[data-state="alarm"] { --tone: var(--bad); } [data-state="lost"] { --tone: var(--bad); }
[data-state="unknown"] { --tone: var(--dim); }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 16px; }
h2 { margin: 0; font-size: 20px; font-weight: 500; flex: 1 1 auto; min-width: 8em; }
.badge { display: inline-flex; gap: .4em; align-items: center; font-weight: 500; padding: 3px 12px 3px 9px; border-radius: 999px;
  background: color-mix(in srgb, var(--tone) 18%, transparent); }
.badge svg { color: var(--tone); }
.facts { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0; flex-basis: 100%; }
.facts > div { display: flex; gap: .45em; } dt { color: var(--dim); } dd { margin: 0; font-variant-numeric: tabular-nums; }
.wrongs { display: flex; flex-wrap: wrap; gap: 6px; padding: 0; margin: 0; list-style: none; flex-basis: 100%; }
.wrongs li { display: inline-flex; align-items: center; gap: .4em; padding: 2px 10px 2px 7px; border-radius: 6px; font-size: 13px;
  border: 1px solid color-mix(in srgb, var(--tone) 60%, transparent); }
.wrongs svg { color: var(--tone); }
.banner { padding: 10px 14px; border-radius: 8px; background: color-mix(in srgb, var(--warn) 22%, transparent); }
.banner[hidden], .wrongs:empty { display: none; }
.offline .tiles, .offline .tables { opacity: .45; filter: grayscale(1); }
.bar { display: flex; justify-content: space-between; align-items: center; gap: 8px; color: var(--dim); }
select { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--line); border-radius: 6px; padding: 3px 6px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 168px), 1fr)); gap: 8px; }
.tile { all: unset; box-sizing: border-box; display: grid; grid-template-columns: minmax(0, 1fr); gap: 5px; padding: 8px 10px 7px; border-radius: 10px; cursor: pointer; min-width: 0;
  border: 1px solid var(--line); transition: border-color .15s, background .15s; }
.tile:hover { border-color: var(--accent); }
.tile[aria-selected="true"] { border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent);
  background: color-mix(in srgb, var(--accent) 9%, transparent); }
.tile .top { display: flex; gap: 4px; align-items: baseline; } .tile .top b { flex: 1 1 auto; }
.tile b { font-weight: 500; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.tile .sum { font-size: 12px; color: var(--dim); white-space: nowrap; font-variant-numeric: tabular-nums; }
.tile .how { font-size: 12px; display: flex; align-items: center; gap: .35em; min-height: 1.5em; min-width: 0; }
.tile .how span:last-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.tile .how svg { color: var(--tone); }
.sky { display: flex; align-items: flex-end; gap: 1px; height: 34px; border-bottom: 1px solid var(--line); }
.sky i { flex: 1 1 0; min-width: 1px; max-width: 14px; height: 100%; transform-origin: bottom; transform: scaleY(var(--h, 0)); border-radius: 1px 1px 0 0;
  background: color-mix(in srgb, var(--ok) 62%, var(--paper)); }
.sky i[data-state="warning"] { background: var(--warn); } .sky i[data-state="alarm"] { background: var(--bad); }
.sky i[data-state="lost"] { transform: none;
  background: repeating-linear-gradient(135deg, var(--bad) 0 2px, transparent 2px 4px); }
.sky i[data-state="unknown"] { background: var(--dim); opacity: .5; }
.sky i.none:not([data-state="lost"]) { transform: none; opacity: .5; background: repeating-linear-gradient(135deg, var(--dim) 0 1px, transparent 1px 4px); }
.tables { display: grid; gap: 18px; grid-template-columns: minmax(0, 1fr); }
.tables.all { grid-template-columns: repeat(auto-fill, minmax(min(100%, 480px), 1fr)); align-items: start; }
section { min-width: 0; content-visibility: auto; contain-intrinsic-size: auto 900px; }
section h3 { margin: 0 0 4px; font-size: 15px; font-weight: 500; display: flex; gap: .5em; align-items: center; }
section h3 svg { color: var(--tone); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 0 6px; height: 30px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; font-weight: 400; }
thead th { height: 34px; padding: 0; position: sticky; top: 0; z-index: 1; background: var(--paper); }
thead button { all: unset; box-sizing: border-box; cursor: pointer; width: 100%; padding: 4px 6px; color: var(--dim); font-size: 12.5px; }
thead button:hover { color: var(--ink); }
thead th[aria-sort] button { color: var(--ink); font-weight: 500; }
thead .unit { opacity: .75; font-size: .92em; }
thead .arrow { display: inline-block; width: .9em; text-align: center; }
th.number, td.number { text-align: left; width: 3.6em; } th.state, td.state { text-align: left; }
tbody tr { transition: background .6s; } tbody tr:hover { background: color-mix(in srgb, var(--ink) 6%, transparent); }
tr[data-state="alarm"] { background: color-mix(in srgb, var(--bad) 11%, transparent); }
tr[data-state="warning"] { background: color-mix(in srgb, var(--warn) 11%, transparent); }
tr[data-state="lost"] :is(.track, .fill) { visibility: hidden; }
tr[data-state="lost"] { background: repeating-linear-gradient(135deg, color-mix(in srgb, var(--bad) 13%, transparent) 0 8px, transparent 8px 16px); }
.open { all: unset; cursor: pointer; color: var(--ink); padding: 3px 5px; margin-left: -5px; border-radius: 5px; min-width: 1.6em; display: inline-flex; align-items: center; gap: 5px; }
.open:hover { background: color-mix(in srgb, var(--ink) 10%, transparent); }
.open .dot { width: 7px; height: 7px; border-radius: 50%; background: var(--accent); display: none; }
.noted .dot { display: inline-block; }
.cell { display: inline-grid; grid-template-columns: auto; align-items: center; justify-content: end; gap: 8px; width: 100%; }
.value.wrong { font-weight: 600; text-decoration: underline; text-decoration-thickness: 2px; text-underline-offset: 3px; text-decoration-color: var(--bad); }
.value.wrong[data-severity="warning"] { text-decoration-color: var(--warn); }
.value.stale { color: var(--dim); font-style: italic; opacity: .7; }
.track, .fill { display: none; position: relative; height: 8px; border-radius: 4px; overflow: hidden; }
.track { background: var(--zones, color-mix(in srgb, var(--ink) 10%, transparent)); }
.track u { position: absolute; top: 0; bottom: 0; width: 1px; margin-left: -.5px; background: var(--ink); opacity: .55; left: var(--target, -9px); }
.track i { position: absolute; top: 0; left: var(--p, -9px); width: 4px; height: 8px; margin-left: -2px; border-radius: 2px; background: var(--ink); }
.fill { background: color-mix(in srgb, var(--ink) 10%, transparent); }
.fill i { position: absolute; inset: 0; transform-origin: left; transform: scaleX(var(--p, 0)); background: var(--accent); opacity: .75; }
td.impedance .fill i { background: color-mix(in srgb, var(--dim) 80%, transparent); }
tr[data-state="alarm"] .wrong + .fill i { background: var(--bad); opacity: 1; } tr[data-state="warning"] .wrong + .fill i { background: var(--warn); opacity: 1; }
td.state > span { display: inline-flex; align-items: center; gap: .4em; vertical-align: middle; } td.state svg { vertical-align: middle; } td.state svg { color: var(--tone); }
.foot { display: flex; flex-wrap: wrap; gap: 6px 0; margin: 8px 0 0; padding: 8px 4px; border-radius: 8px; background: color-mix(in srgb, var(--ink) 5%, transparent); }
.foot > div { flex: 1 1 auto; padding: 0 10px; min-width: 5.2em; } .foot > [hidden] { display: none; } .foot dt { font-size: 12px; } .foot dd { font-size: 16px; }
details { border-top: 1px solid var(--line); padding-top: 8px; } summary { cursor: pointer; color: var(--dim); }
.about { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 14px 28px; margin-top: 10px; align-items: start; }
.about dl { margin: 0; display: grid; grid-template-columns: auto 1fr; gap: 2px 14px; align-content: start; }
.about table { font-size: 13px; } .about th, .about td { height: 26px; } .about thead th { position: static; font-size: 12px; color: var(--dim); padding: 0 6px; white-space: normal; }
.about tbody th { text-align: left; }
:is(button, select, summary):focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
dialog { border: 0; border-radius: 14px; padding: 20px; width: min(92vw, 420px); box-sizing: border-box; background: var(--paper); color: var(--ink); box-shadow: 0 10px 40px rgba(0, 0, 0, .4); }
dialog::backdrop { background: rgba(0, 0, 0, .45); }
dialog h3 { margin: 0 0 12px; font-size: 18px; font-weight: 500; display: flex; align-items: center; gap: .5em; } dialog h3 svg { color: var(--tone); }
dialog dl { display: grid; grid-template-columns: 1fr auto; gap: 5px 16px; margin: 0 0 12px; } dialog dd { text-align: right; }
dialog .note { white-space: pre-line; overflow-wrap: anywhere; border-left: 3px solid var(--accent); padding-left: 10px; margin: 0 0 12px; } dialog .note:empty { display: none; }
dialog .wrongs { margin-bottom: 12px; }
.actions { display: flex; flex-wrap: wrap; gap: 8px; }
.actions button { font: inherit; color: var(--ink); background: none; border: 1px solid var(--line); border-radius: 8px; padding: 7px 12px; cursor: pointer; }
.actions button:hover { background: color-mix(in srgb, var(--ink) 8%, transparent); }
.said { min-height: 1.4em; margin: 10px 0 0; color: var(--dim); }
@container (min-width: 560px) {
  .track, .fill { display: block; width: 48px; } .cell.drawn { grid-template-columns: auto 48px; }
}
@container (min-width: 760px) {
  td.voltage .cell.drawn { grid-template-columns: auto 130px; } td.voltage .track { width: 130px; }
  .cell.drawn { grid-template-columns: auto 64px; } .track, .fill { width: 64px; }
}
@container (min-width: 700px) { .all .cell.drawn, .all td.voltage .cell.drawn { grid-template-columns: auto 30px; } .all .track, .all .fill, .all td.voltage .track { width: 30px; } }
@container (min-width: 1500px) { .all td.voltage .cell.drawn { grid-template-columns: auto 60px; } .all td.voltage .track { width: 60px; } }
@container (max-width: 559px) {
  .inner { padding: 12px; gap: 10px; } th, td { padding: 0 3px; font-size: 13px; } thead button { padding: 3px; font-size: 11px; white-space: normal; }
  .head-state .text, td.state .word { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  thead .text { display: block; overflow: hidden; text-overflow: ellipsis; max-width: 18vw; } th.number, td.number { width: 2.4em; }
  .tile .amps { display: none; } .foot > div { min-width: 4.4em; padding: 0 6px; } .tiles { grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); }
}
@container (max-width: 310px) { .tables { overflow-x: auto; } }
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
@media (forced-colors: active) { .track i, .fill i, .sky i { forced-color-adjust: none; } }
`;

/** The last `hass` that any card has seen: the editor's form is asked for without one. */
let lastHass = null;

const wordsOf = (hass) => WORDS[(hass?.language ?? "en").split("-")[0]] ?? WORDS.en;

/** Make an element: `make("td", "state", child, "text")`. */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function icon(state) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  svg.firstChild.setAttribute("d", SHAPES[state]);
  svg.firstChild.setAttribute("fill-rule", "evenodd");
  return svg;
}

/** Write only what differs; reading the document is as dear as writing it, so what was written is remembered. */
const written = new WeakMap();
function write(element, key, value, how) {
  let known = written.get(element);
  if (!known) written.set(element, (known = {}));
  if (known[key] === value) return false;
  known[key] = value;
  how(element, value);
  return true;
}
const setText = (element, text) => write(element, "text", text, (e, v) => { e.textContent = v; });
const setTitle = (element, text) => write(element, "title", text, (e, v) => { v ? (e.title = v) : e.removeAttribute("title"); });
const setState = (element, state) => write(element, "state", state, (e, v) => { e.dataset.state = v; });
const setVar = (element, name, value) => write(element, name, value, (e, v) => e.style.setProperty(name, v));
const setClass = (element, name, on) => write(element, `.${name}`, Boolean(on), (e, v) => e.classList.toggle(name, v));
const setIcon = (place, state) => write(place, "icon", state, (e, v) => e.replaceChildren(icon(v)));

const clamp = (value) => Math.min(1, Math.max(0, value));
const known = (value) => typeof value === "number";

class RidethroughBatteryCard extends HTMLElement {
  static async getConfigForm() {
    const words = wordsOf(lastHass);
    let systems = null;
    try {
      systems = (await lastHass.callWS({ type: "ridethrough/battery/list" })).systems;
    } catch { /* Without the list, any device of the integration can be chosen. */ }
    const choice = (name, ...values) => ({
      name,
      selector: { select: { mode: "dropdown", options: values.map((v) => ({ value: v, label: words[`${name}_${v}`] })) } },
    });
    const options = systems?.map(({ device_id: value, name: label }) => ({ value, label }));
    return {
      schema: [
        { name: "device_id", required: true,
          selector: options ? { select: { mode: "dropdown", options } } : { device: { integration: "ridethrough" } } },
        { name: "name", selector: { text: {} } },
        choice("layout", "tabs", "all"),
        choice("numbers", "string", "system"),
        { name: "hide_overview", selector: { boolean: {} } },
      ],
      computeLabel: ({ name }) => words[name] ?? name,
    };
  }

  static async getStubConfig(hass) {
    lastHass = hass ?? lastHass;
    const { systems } = await hass.callWS({ type: "ridethrough/battery/list" }).catch(() => ({ systems: [] }));
    return { device_id: systems[0]?.device_id ?? "", layout: "tabs", numbers: "string" };
  }

  constructor() {
    super();
    this.attachShadow({ mode: "open" });
    this._sort = { key: "number", down: false };
    this._metric = "voltage";
    this._forget();
    this._onReady = () => this._subscribe();
  }

  // What Home Assistant asks of a card

  setConfig(config) {
    const { layout = "tabs", numbers = "string" } = config;
    if (!["tabs", "all"].includes(layout)) throw new Error("layout must be tabs or all");
    if (!["string", "system"].includes(numbers)) throw new Error("numbers must be string or system");
    const other = config.device_id !== this._config?.device_id || config.device !== this._config?.device;
    this._config = { ...config, layout, numbers };
    if (other) {
      this._selected = null;
      this._forget();
      if (this.isConnected) this._subscribe();
    }
    this._rebuild();
  }

  set hass(hass) {
    // This comes with every change of any state in the house: it must cost nothing.
    const before = this._hass;
    this._hass = lastHass = hass;
    if (before?.connection !== hass.connection) {
      before?.connection?.removeEventListener?.("ready", this._onReady);
      if (this.isConnected) this._connect();
    }
    if (before?.language !== hass.language || before?.locale !== hass.locale) {
      this._formats = {};
      hass.loadBackendTranslation?.("entity", "ridethrough")?.then(() => this._rebuild(), () => {});
      this._rebuild();
    }
  }

  getCardSize() { return 12; }

  getGridOptions() { return { columns: "full", rows: "auto", min_columns: 6, min_rows: 4 }; }

  connectedCallback() {
    if (this._hass) this._connect();
    this._rebuild();
    this._ticking = setInterval(() => this._tick(), 1000);
  }

  disconnectedCallback() {
    clearInterval(this._ticking);
    this._hass?.connection?.removeEventListener?.("ready", this._onReady);
    this._unsubscribe();
  }

  // Data

  _forget() {
    this._data = null;
    this._problem = null;
    this._modules = new Map();
    this._strings = new Map();
    this._dirty = new Set();
    this._dirtyStrings = new Set();
    this._dirtySystem = false;
  }

  _connect() {
    // After Home Assistant was away its ids are others, so we subscribe anew ourselves.
    this._hass.connection.addEventListener?.("ready", this._onReady);
    this._subscribe();
  }

  async _subscribe() {
    this._unsubscribe();
    const system = this._system();
    if (!system || !this._hass) return;
    const mine = (this._turn = {});
    try {
      const end = await this._hass.connection.subscribeMessage(
        (message) => { if (this._turn === mine) this._take(message); },
        { type: "ridethrough/battery/subscribe", ...system },
        { resubscribe: false },
      );
      if (this._turn === mine) this._end = end;
      else end().catch?.(() => {});
    } catch (error) {
      if (this._turn === mine) this._fail(error?.code === "unauthorized" ? "denied" : "gone");
    }
  }

  /** Say which battery system is shown: by id, as the editor writes it, or by name, as a person does. */
  _system() {
    const { device_id, device } = this._config ?? {};
    return device_id ? { device_id } : device ? { device } : null;
  }

  _unsubscribe() {
    this._turn = null;
    clearTimeout(this._retry);
    const end = this._end;
    this._end = null;
    // The connection may be gone, and the subscription with it.
    if (end) Promise.resolve().then(end).catch(() => {});
  }

  _fail(problem) {
    this._unsubscribe();
    this._forget();
    this._problem = problem;
    this._rebuild();
    if (problem === "gone") this._retry = setTimeout(() => this._subscribe(), RETRY);
  }

  _take(message) {
    if (message.type === "ended") return this._fail("gone");
    this._at = new Date();
    if (message.type === "snapshot") {
      this._problem = null;
      if (this._sameShape(message)) return this._replace(message);
      this._forget();
      this._data = { online: message.online, system: message.system ?? { conditions: {}, limits: {}, stale: [] } };
      for (const row of message.strings) this._strings.set(row.number, row);
      for (const row of message.modules) this._modules.set(row.number, row);
      this._pause();
      this._rebuild();
      return undefined;
    }
    if (!this._data) return undefined;
    for (const row of message.modules ?? []) {
      Object.assign(this._modules.get(row.number) ?? {}, row);
      this._dirty.add(row.number);
    }
    for (const row of message.strings ?? []) {
      Object.assign(this._strings.get(row.number) ?? {}, row);
      this._dirtyStrings.add(row.number);
    }
    if (message.system) {
      Object.assign(this._data.system, message.system);
      if ("pause" in message.system) this._pause();
      // Limits move every bar.
      if ("limits" in message.system) this._rescale();
      this._dirtySystem = true;
    }
    this._schedule();
    return undefined;
  }

  /** Whether a snapshot has the blocks that are shown already, as after a short interruption. */
  _sameShape(message) {
    return Boolean(this._data && message.system) && message.modules.length === this._modules.size &&
      message.strings.length === this._strings.size && message.strings.every(({ number }) => this._strings.has(number)) &&
      message.modules.every(({ number, string }) => this._modules.get(number)?.string === string);
  }

  _replace(message) {
    Object.assign(this._data, { online: message.online, system: message.system });
    for (const row of message.strings) { this._strings.set(row.number, row); this._dirtyStrings.add(row.number); }
    for (const row of message.modules) { this._modules.set(row.number, row); this._dirty.add(row.number); }
    this._dirtySystem = true;
    this._pause();
    this._rescale();
    this._schedule();
  }

  _pause() {
    const { pause } = this._data.system;
    this._until = known(pause) && pause > 0 ? Date.now() + pause * 1000 : null;
  }

  _tick() {
    if (this._until && this._data && this._parts) this._paintFacts();
  }

  // Words and numbers

  _word(key) { return wordsOf(this._hass)[key] ?? key; }

  _format(value, digits) {
    if (!known(value)) return "–";
    this._formats ??= {};
    const { language = "en", number_format: style = "language" } = this._hass?.locale ?? { language: this._hass?.language };
    this._formats[digits] ??= new Intl.NumberFormat(
      { comma_decimal: "en-US", decimal_comma: "de", space_comma: "fr", system: undefined }[style] ?? language ?? "en",
      { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: style !== "none" },
    );
    return this._formats[digits].format(value);
  }

  _quantity(value, unit, digits) { return known(value) ? `${this._format(value, digits)} ${unit}` : "–"; }

  _condition(key) {
    const slug = key.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_|_$/g, "");
    return this._hass?.localize?.(`component.ridethrough.entity.binary_sensor.${slug}.name`) || key.replace(/[._]/g, " ");
  }

  /** Conditions that are wrong, worst first. */
  _wrongs(conditions) {
    return Object.entries(conditions ?? {}).filter(([, severity]) => severity in GRAVITY)
      .sort((a, b) => GRAVITY[b[1]] - GRAVITY[a[1]]);
  }

  _stateOf(module) { return module.state in SHAPES ? module.state : "unknown"; }

  _stringOf(module) { return this._strings.has(module.string) ? module.string : 0; }

  _members(string) { return this._byString.get(string) ?? []; }

  _numberOf(module) {
    return this._config.numbers === "string" && known(module.position) ? module.position : module.number;
  }

  _nameOf(string) { return this._strings.get(string)?.name ?? this._word("string"); }

  _scale() {
    const { limits } = this._data.system;
    this._ranges = {};
    this._bars = {};
    for (const [key, { draw, limit }] of Object.entries(COLUMNS)) {
      const values = [];
      for (const module of this._modules.values()) if (known(module[key]) && module.state !== "lost") values.push(module[key]);
      const low = limits?.[`${limit}.low.critical`] ?? limits?.[`${limit}.low.warning`];
      const high = limits?.[`${limit}.high.critical`] ?? limits?.[`${limit}.high.warning`];
      const mean = values.reduce((sum, value) => sum + value, 0) / (values.length || 1);
      const least = values.reduce((a, b) => Math.min(a, b), Infinity);
      const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
      if (key === "charge" || key === "duty") {
        this._ranges[key] = this._bars[key] = [0, 100];
      } else if (draw === "fill") {
        this._ranges[key] = this._bars[key] = [0, Math.max(mean * 2, most * 1.05) || 1];
      } else {
        // The overview shows how blocks differ, the bar in a row how far it is from the limits.
        const room = Math.max((most - least) * 0.15, Math.abs(mean) * 0.01) || 1;
        this._ranges[key] = values.length ? [least - 3 * room, most + room] : [0, 1];
        const ends = known(low) && known(high) ? [low, high] : this._ranges[key];
        const margin = (ends[1] - ends[0]) * 0.08;
        this._bars[key] = [ends[0] - margin, ends[1] + margin];
      }
    }
  }

  _place(range, value) { return clamp((value - range[0]) / (range[1] - range[0])); }

  _zones(key) {
    const { limits = {} } = this._data.system;
    const { limit } = COLUMNS[key];
    const stop = (name) => {
      const value = limits[`${limit}.${name}`];
      return known(value) ? this._place(this._bars[key], value) * 100 : null;
    };
    const low = stop("low.critical") ?? 0, lowWarning = stop("low.warning") ?? low;
    const high = stop("high.critical") ?? 100, highWarning = stop("high.warning") ?? high;
    const tone = (name, part) => `color-mix(in srgb, var(--${name}) ${part}%, transparent)`;
    const stops = [[tone("bad", 45), 0, low], [tone("warn", 38), low, lowWarning], [tone("ink", 9), lowWarning, highWarning],
      [tone("warn", 38), highWarning, high], [tone("bad", 45), high, 100]];
    return `linear-gradient(90deg, ${stops.map(([c, a, b]) => `${c} ${a.toFixed(1)}% ${b.toFixed(1)}%`).join(", ")})`;
  }

  // Building

  _rebuild() {
    if (!this.isConnected || !this._config) return;
    this._parts = null;
    this._rows = new Map();
    this._tiles = new Map();
    this._sections = new Map();
    const inner = make("div", "inner");
    const card = make("ha-card", "", inner);
    const style = make("style");
    style.textContent = STYLE;
    const dialog = this._buildDialog();
    this.shadowRoot.replaceChildren(style, card, dialog);
    if (!this._data) {
      const key = !this._system() ? "choose" : this._problem ?? "waiting";
      const banner = make("div", "banner", this._word(key));
      banner.setAttribute("role", "status");
      inner.append(banner);
      return;
    }
    this._group();
    this._scale();
    const parts = (this._parts = { card, inner });
    inner.append(this._buildHeader(parts));
    const tabs = this._config.layout === "tabs" && this._byString.size > 1;
    if (!this._config.hide_overview || tabs) inner.append(...this._buildOverview(tabs));
    parts.tables = make("div", `tables ${tabs ? "" : "all"}`);
    if (this._byString.size < 2) parts.tables.className = "tables";
    if (tabs) {
      parts.tables.setAttribute("role", "tabpanel");
      parts.tables.id = "panel";
    }
    inner.append(parts.tables, this._buildAbout());
    this._rescale();
    if (tabs) this._select(this._byString.has(this._selected) ? this._selected : this._worstString());
    else for (const string of this._byString.keys()) parts.tables.append(this._section(string));
    this._dirtySystem = true;
    for (const string of this._byString.keys()) this._dirtyStrings.add(string);
    for (const number of this._modules.keys()) this._dirty.add(number);
    this._paint();
  }

  _group() {
    this._byString = new Map();
    const strings = [...this._strings.keys()].sort((a, b) => a - b);
    for (const string of strings) this._byString.set(string, []);
    for (const module of this._modules.values()) {
      const string = this._stringOf(module);
      if (!this._byString.has(string)) this._byString.set(string, []);
      this._byString.get(string).push(module.number);
    }
    for (const members of this._byString.values()) members.sort((a, b) => a - b);
  }

  /** One looks first at what is wrong; where nothing is, at the first string. */
  _worstString() {
    const strings = [...this._byString.keys()];
    const bad = (string) => Math.max(0, ...this._members(string).map((n) => GRAVITY[this._stateOf(this._modules.get(n))]));
    return strings.reduce((best, string) => (bad(string) > bad(best) ? string : best), strings[0]);
  }

  _buildHeader(parts) {
    parts.title = make("h2");
    parts.badgeIcon = make("span");
    parts.badgeWord = make("span");
    parts.badge = make("span", "badge", parts.badgeIcon, parts.badgeWord);
    parts.badge.setAttribute("role", "status");
    parts.facts = make("dl", "facts");
    parts.wrongs = make("ul", "wrongs");
    parts.banner = make("div", "banner", this._word("offline"));
    parts.banner.setAttribute("role", "status");
    const header = make("header", "", parts.title, parts.badge, parts.facts, parts.wrongs, parts.banner);
    parts.banner.style.flexBasis = "100%";
    return header;
  }

  _buildOverview(tabs) {
    const select = make("select");
    for (const metric of METRICS) select.append(new Option(this._word(metric), metric, false, metric === this._metric));
    select.setAttribute("aria-label", this._word("show"));
    select.addEventListener("change", () => {
      this._metric = select.value;
      this._rescale();
      for (const number of this._modules.keys()) this._dirty.add(number);
      this._paint();
    });
    const tiles = make("div", "tiles");
    if (tabs) {
      tiles.setAttribute("role", "tablist");
      tiles.setAttribute("aria-label", this._word("strings"));
      tiles.addEventListener("keydown", (event) => this._onTabKey(event));
    }
    for (const string of this._byString.keys()) tiles.append(this._buildTile(string, tabs));
    const bar = make("div", "bar", make("span", "", `${this._strings.size} ${this._word("of_strings")} · ${this._modules.size} ${this._word("blocks")}`), select);
    return [bar, tiles];
  }

  _buildTile(string, tab) {
    const tile = { root: make(tab ? "button" : "div", "tile"), name: make("b"), sum: make("span", "sum"), amps: make("span", "sum amps"), sky: make("div", "sky"),
      how: make("span", "how"), howIcon: make("span"), howWord: make("span"), bars: new Map() };
    tile.how.append(tile.howIcon, tile.howWord);
    tile.sky.setAttribute("aria-hidden", "true");
    for (const number of this._members(string)) {
      const bar = make("i");
      bar.dataset.number = number;
      tile.bars.set(number, bar);
      tile.sky.append(bar);
    }
    tile.root.append(make("span", "top", tile.name, tile.sum, tile.amps), tile.sky, tile.how);
    if (tab) {
      tile.root.type = "button";
      tile.root.setAttribute("role", "tab");
      tile.root.setAttribute("aria-controls", "panel");
      tile.root.addEventListener("click", () => this._select(string));
    }
    tile.sky.addEventListener("click", (event) => {
      const number = Number(event.target.dataset?.number);
      if (event.detail === 2 && number) this._open(number);
    });
    this._tiles.set(string, tile);
    return tile.root;
  }

  _onTabKey(event) {
    const order = [...this._tiles.keys()];
    const at = order.indexOf(this._selected);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? order.length - 1 : step ? (at + step + order.length) % order.length : null;
    if (to === null) return;
    event.preventDefault();
    this._select(order[to]);
    this._tiles.get(order[to]).root.focus();
  }

  _select(string) {
    this._selected = string;
    for (const [number, { root }] of this._tiles) {
      root.setAttribute("aria-selected", String(number === string));
      root.tabIndex = number === string ? 0 : -1;
    }
    this._parts.tables.replaceChildren(this._section(string));
    this._parts.tables.setAttribute("aria-label", this._nameOf(string));
    for (const number of this._members(string)) this._dirty.add(number);
    this._dirtyStrings.add(string);
    this._order(string, true);
    this._schedule();
  }

  /** The table of a string, made when it is first looked at. */
  _section(string) {
    let section = this._sections.get(string);
    if (!section) {
      section = this._buildSection(string);
      this._sections.set(string, section);
      this._order(string, true);
    }
    return section.root;
  }

  _buildSection(string) {
    const section = { root: make("section"), body: make("tbody"), heads: new Map(), order: [], name: make("span"), icon: make("span"), foot: {} };
    const head = make("tr");
    for (const key of ["number", ...METRICS, "state"]) {
      const { unit } = COLUMNS[key] ?? {};
      const arrow = make("span", "arrow");
      arrow.setAttribute("aria-hidden", "true");
      const button = make("button", "", make("span", "text", this._word(key)), " ");
      if (unit) button.append(make("span", "unit", unit));
      button.append(arrow);
      button.type = "button";
      button.addEventListener("click", () => this._sortBy(key));
      const th = make("th", `${key} head-${key}`, button);
      th.scope = "col";
      section.heads.set(key, { th, arrow });
      head.append(th);
    }
    const caption = make("caption", "sr", this._nameOf(string));
    section.title = make("h3", "", section.icon, section.name);
    const foot = make("dl", "foot");
    for (const [key, [word]] of Object.entries(FOOTER)) {
      section.foot[key] = make("dd");
      foot.append(make("div", "", make("dt", "", this._word(word)), section.foot[key]));
    }
    section.root.append(section.title, make("table", "", caption, make("thead", "", head), section.body), foot);
    for (const number of this._members(string)) {
      section.body.append(this._buildRow(number));
      section.order.push(number);
      this._dirty.add(number);
    }
    this._dirtyStrings.add(string);
    return section;
  }

  _buildRow(number) {
    const row = { tr: make("tr"), cells: {}, open: make("button", "open"), label: make("span"), said: make("span", "sr") };
    row.open.append(row.label, make("span", "dot"), row.said);
    row.open.type = "button";
    row.open.addEventListener("click", () => this._open(number));
    const th = make("th", "number", row.open);
    th.scope = "row";
    row.tr.append(th);
    for (const [key, { draw }] of Object.entries(COLUMNS)) {
      const value = make("span", "value");
      const bar = make("span", draw, ...(key === "voltage" ? [make("u")] : []), make("i"));
      bar.setAttribute("aria-hidden", "true");
      row.cells[key] = { value, bar };
      row.tr.append(make("td", key, make("span", "cell drawn", value, bar)));
    }
    row.icon = make("span");
    row.word = make("span", "word");
    row.tr.append(make("td", "state", make("span", "", row.icon, row.word)));
    this._rows.set(number, row);
    return row.tr;
  }

  _buildAbout() {
    const { system } = this._data;
    const facts = make("dl");
    for (const key of INFO) {
      if (system[key] === null || system[key] === undefined) continue;
      const [unit, digits] = UNITS[key] ?? [];
      facts.append(make("dt", "", this._word(key)), make("dd", "", unit ? this._quantity(system[key], unit, digits) : String(system[key])));
    }
    const parts = [facts];
    const limits = system.limits ?? {};
    const body = make("tbody");
    for (const [key, { unit, digits, limit }] of Object.entries(COLUMNS)) {
      const values = ["low.critical", "low.warning", "high.warning", "high.critical"].map((end) => limits[`${limit}.${end}`]);
      if (!values.some(known)) continue;
      const th = make("th", "", `${this._word(key)} ${unit}`);
      th.scope = "row";
      body.append(make("tr", "", th, ...values.map((value) => make("td", "", this._format(value, Math.min(digits, 2))))));
    }
    if (body.childElementCount) {
      const heads = ["limits", "low_alarm", "low_warning", "high_warning", "high_alarm"].map((key) => make("th", "", this._word(key)));
      parts.push(make("table", "", make("thead", "", make("tr", "", ...heads)), body));
    }
    const range = ["minimum", "maximum"].map((end) => limits[`equalizing.voltage.${end}`]);
    if (range.some(known)) {
      facts.append(make("dt", "", this._word("equalizing_range")), make("dd", "", `${range.map((v) => this._format(v, 2)).join(" … ")} V`));
    }
    if (known(system.impedance_average)) {
      facts.append(make("dt", "", `${this._word("mean")} ${this._word("impedance")}`), make("dd", "", this._quantity(system.impedance_average, "mΩ", 2)));
    }
    this._parts.updated = make("dd");
    facts.append(make("dt", "", this._word("updated")), this._parts.updated);
    const details = make("details", "", make("summary", "", this._word("info")), make("div", "about", ...parts));
    details.open = Boolean(this._aboutOpen);
    details.addEventListener("toggle", () => { this._aboutOpen = details.open; });
    return details;
  }

  // Painting: only what is dirty

  _schedule() {
    if (this._frame || !this._parts) return;
    this._frame = requestAnimationFrame(() => {
      this._frame = null;
      if (this._parts && this._data) this._paint();
    });
  }

  _rescale() {
    if (!this._parts) return;
    this._scale();
    const { tables } = this._parts;
    for (const key of ["voltage", "temperature"]) setVar(tables, `--zones-${key}`, this._zones(key));
    for (const number of this._modules.keys()) this._dirty.add(number);
  }

  _paint() {
    this._rescaleIfOutside();
    const touched = new Set(this._dirtyStrings);
    for (const number of this._dirty) {
      const module = this._modules.get(number);
      if (!module) continue;
      touched.add(this._stringOf(module));
      this._paintBar(module);
      const row = this._rows.get(number);
      if (row && this._sections.has(this._stringOf(module))) this._paintRow(row, module);
      if (this._shown === number) this._paintDialog(module);
    }
    for (const string of touched) this._paintString(string);
    if (this._dirtySystem || this._dirty.size || this._dirtyStrings.size) this._paintSystem();
    this._dirty.clear();
    this._dirtyStrings.clear();
    this._dirtySystem = false;
    if (this._sort.key !== "number") this._resort();
  }

  _rescaleIfOutside() {
    const [low, high] = this._ranges[this._metric];
    for (const number of this._dirty) {
      const module = this._modules.get(number);
      const value = module?.[this._metric];
      if (known(value) && module.state !== "lost" && (value < low || value > high)) return this._rescale();
    }
    return undefined;
  }

  _paintBar(module) {
    const bar = this._tiles.get(this._stringOf(module))?.bars.get(module.number);
    if (!bar) return;
    const value = module[this._metric];
    setState(bar, this._stateOf(module));
    setClass(bar, "none", !known(value));
    if (known(value)) setVar(bar, "--h", Math.max(0.04, this._place(this._ranges[this._metric], value)).toFixed(3));
    const { unit, digits } = COLUMNS[this._metric];
    setTitle(bar, `${this._numberOf(module)}: ${this._quantity(value, unit, digits)}, ${this._word(this._stateOf(module))}`);
  }

  _paintRow(row, module) {
    const state = this._stateOf(module);
    const string = this._strings.get(module.string);
    setState(row.tr, state);
    setText(row.label, String(this._numberOf(module)));
    setClass(row.open, "noted", module.note);
    setTitle(row.open, module.note || `${this._word("number_in_system")}: ${module.number}`);
    setText(row.said, module.note ? ` ${this._word("note")}: ${module.note}` : "");
    const wrongs = this._wrongs(module.conditions);
    for (const [key, { draw, digits, wrong }] of Object.entries(COLUMNS)) {
      const { value, bar } = row.cells[key];
      const found = wrongs.find(([name]) => wrong.test(name));
      let text = this._format(module[key], digits), title = "";
      if (found) {
        title = this._condition(found[0]);
        text = `${/high|risen/.test(found[0]) ? "▲ " : /low/.test(found[0]) ? "▼ " : ""}${text}`;
      }
      if (key === "impedance" && !known(module[key]) && state !== "lost") title = this._word("no_impedance");
      if (key === "charge" && !known(module[key]) && (string?.phase ?? this._data.system.phase) === "charging" && state !== "lost") {
        text = "↑";
        title = this._word("boost");
      }
      const stale = module.stale?.includes(key);
      if (stale) title = `${title ? `${title}; ` : ""}${this._word("stale")}`;
      setText(value, text);
      setTitle(value, title);
      setClass(value, "wrong", found);
      setClass(value, "stale", stale);
      write(value, "severity", found?.[1] ?? "", (e, v) => { e.dataset.severity = v; });
      write(value, "label", title && !known(module[key]) ? title : "", (e, v) => { v ? e.setAttribute("aria-label", v) : e.removeAttribute("aria-label"); });
      const place = known(module[key]) ? this._place(this._bars[key], module[key]) : null;
      if (draw === "track") {
        setVar(bar, "--zones", `var(--zones-${key})`);
        setVar(bar, "--p", place === null ? "-9px" : `${(place * 100).toFixed(1)}%`);
        if (key === "voltage") setVar(bar, "--target", known(string?.target) ? `${(this._place(this._bars.voltage, string.target) * 100).toFixed(1)}%` : "-9px");
      } else {
        setVar(bar, "--p", (place ?? 0).toFixed(3));
      }
    }
    setIcon(row.icon, state);
    setText(row.word, this._word(state));
    setTitle(row.word.parentNode, wrongs.map(([name]) => this._condition(name)).join("\n"));
  }

  _paintString(string) {
    const row = this._strings.get(string);
    const counts = this._count(this._members(string));
    let worst = Object.keys(counts).reduce((a, b) => (GRAVITY[b] > GRAVITY[a] ? b : a), "normal");
    const wrongs = this._wrongs(row?.conditions);
    if (wrongs.length && GRAVITY[wrongs[0][1]] > GRAVITY[worst]) [[, worst]] = wrongs;
    const told = ["alarm", "lost", "warning", "unknown"].filter((s) => counts[s]).map((s) => `${counts[s]} ${this._word(`of_${s}`)}`).join(", ");
    const tile = this._tiles.get(string);
    if (tile) {
      setText(tile.name, this._nameOf(string));
      setText(tile.sum, this._quantity(row?.voltage, "V", 1));
      setText(tile.amps, known(row?.current) ? `· ${this._quantity(row.current, "A", 1)}` : "");
      setState(tile.root, worst);
      setIcon(tile.howIcon, worst);
      // What is wrong with the string itself, as its blocks do not show it.
      const own = wrongs.filter(([name]) => !/^(module\.|general_alarm)/.test(name)).map(([name]) => this._condition(name));
      const how = [...own, told].filter(Boolean).join(", ") || this._word("all_good");
      setText(tile.howWord, how);
      setTitle(tile.howWord, how);
    }
    const section = this._sections.get(string);
    if (!section) return;
    setState(section.title, worst);
    setIcon(section.icon, worst);
    setText(section.name, this._nameOf(string));
    setTitle(section.title, wrongs.map(([name]) => this._condition(name)).join("\n"));
    for (const [key, [, unit, digits]] of Object.entries(FOOTER)) {
      const value = key === "power" && known(row?.power) ? row.power / 1000 : row?.[key];
      setText(section.foot[key], this._quantity(value, unit, digits));
      if (key === "current_ac") section.foot[key].parentElement.hidden = !known(value);
      setClass(section.foot[key], "value", true);
      setClass(section.foot[key], "stale", row?.stale?.includes(key));
    }
    if (this._target?.get(string) !== row?.target) {
      (this._target ??= new Map()).set(string, row?.target);
      for (const number of this._members(string)) this._rows.has(number) && this._paintRow(this._rows.get(number), this._modules.get(number));
    }
  }

  _count(numbers) {
    const counts = {};
    for (const number of numbers) {
      const state = this._stateOf(this._modules.get(number));
      counts[state] = (counts[state] ?? 0) + 1;
    }
    return counts;
  }

  _paintSystem() {
    const parts = this._parts;
    const { system, online } = this._data;
    const counts = this._count(this._modules.keys());
    let worst = Object.keys(counts).reduce((a, b) => (GRAVITY[b] > GRAVITY[a] ? b : a), this._modules.size ? "normal" : "unknown");
    const wrongs = new Map();
    for (const { conditions } of [system, ...this._strings.values()]) {
      for (const [name, severity] of this._wrongs(conditions)) wrongs.set(name, severity);
    }
    for (const severity of wrongs.values()) if (GRAVITY[severity] > GRAVITY[worst]) worst = severity;
    if (!online) worst = "unknown";
    setText(parts.title, this._config.name || system.name || "");
    setState(parts.badge, worst);
    setIcon(parts.badgeIcon, worst);
    const told = ["alarm", "lost", "warning"].filter((s) => counts[s]).map((s) => `${counts[s]} ${this._word(`of_${s}`)}`).join(" · ");
    setText(parts.badgeWord, online && told ? told : this._word(worst));
    parts.banner.hidden = Boolean(online);
    setClass(parts.inner, "offline", !online);
    this._paintFacts();
    write(parts.wrongs, "list", JSON.stringify([...wrongs]), (list) => {
      list.replaceChildren(...this._wrongs(Object.fromEntries(wrongs)).map(([name, severity]) => {
        const item = make("li", "", icon(severity), this._condition(name));
        item.dataset.state = severity;
        return item;
      }));
    });
    setText(parts.updated, this._at?.toLocaleTimeString(this._hass?.locale?.language ?? this._hass?.language) ?? "–");
  }

  _paintFacts() {
    const { system } = this._data;
    const left = this._until ? Math.max(0, Math.round((this._until - Date.now()) / 1000)) : 0;
    const clock = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60].map((n) => String(n).padStart(2, "0")).join(":");
    const facts = [
      [this._word("state"), system.phase ? this._word(system.phase) : "–"],
      [this._word("discharges"), this._format(system.discharges, 0)],
      // Few systems measure it; where none does, a dash for ever would say nothing.
      ...(known(system.ripple) ? [[this._word("ripple"), this._quantity(system.ripple, "V", 3)]] : []),
      [this._word("paused"), left ? clock : "equalizing_paused" in system.conditions ? "✓" : this._word("no")],
    ];
    write(this._parts.facts, "list", JSON.stringify(facts), (list) => {
      list.replaceChildren(...facts.map(([name, value]) => make("div", "", make("dt", "", name), make("dd", "", value))));
    });
  }

  // Sorting

  _sortBy(key) {
    // What is worth looking at first comes first: high impedances and temperatures, bad states.
    const down = this._sort.key === key ? !this._sort.down : ["impedance", "temperature", "state"].includes(key);
    this._sort = { key, down };
    for (const string of this._sections.keys()) this._order(string, true);
  }

  _resort() {
    const now = performance.now();
    const busy = this.shadowRoot.querySelector("tbody:hover, tbody:focus-within");
    if (busy || now - (this._sorted ?? 0) < RESORT) return;
    for (const string of this._sections.keys()) this._order(string, false);
  }

  _order(string, asked) {
    const section = this._sections.get(string);
    if (!section) return;
    const { key, down } = this._sort;
    this._sorted = performance.now();
    const worth = (number) => {
      const module = this._modules.get(number);
      if (key === "number") return number;
      return key === "state" ? GRAVITY[this._stateOf(module)] : known(module[key]) ? module[key] : null;
    };
    const order = this._members(string).map((number) => [worth(number), number]).sort(([a, m], [b, n]) => {
      // What is not known stands last in both directions.
      if (a === null || b === null) return (a === null) - (b === null) || m - n;
      return (down ? b - a : a - b) || m - n;
    }).map(([, number]) => number);
    if (order.some((number, at) => number !== section.order[at])) {
      section.order = order;
      const focused = this.shadowRoot.activeElement;
      section.body.append(...order.map((number) => this._rows.get(number).tr));
      focused?.focus?.();
    }
    if (!asked) return;
    for (const [name, { th, arrow }] of section.heads) {
      name === key ? th.setAttribute("aria-sort", down ? "descending" : "ascending") : th.removeAttribute("aria-sort");
      arrow.textContent = name === key ? (down ? "▾" : "▴") : "";
    }
  }

  // One block

  _buildDialog() {
    const dialog = make("dialog");
    const d = (this._dialog = { root: dialog, icon: make("span"), name: make("span"), list: make("dl"), wrongs: make("ul", "wrongs"),
      note: make("p", "note"), actions: make("div", "actions"), said: make("p", "said") });
    d.title = make("h3", "", d.icon, d.name);
    d.title.id = "block";
    dialog.setAttribute("aria-labelledby", "block");
    d.said.setAttribute("role", "status");
    dialog.append(d.title, d.wrongs, d.list, d.note, d.actions, d.said);
    dialog.addEventListener("close", () => { this._shown = null; });
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    this._shown = null;
    return dialog;
  }

  _open(number) {
    const module = this._modules.get(number);
    this._shown = number;
    const { root, actions, said } = this._dialog;
    setText(said, "");
    const buttons = [["module.find", "find", "find_block"], ["module.release", "release", "stop_blinking"], ["impedance.measure", "measure", "measure_impedance"]]
      .filter(([command]) => module.commands?.includes(command))
      .map(([, word, service]) => this._button(this._word(word), () => this._act(service, module.device)));
    if (module.device) buttons.push(this._button(this._word("open"), () => this._visit(module.device)));
    buttons.push(this._button(this._word("close"), () => root.close()));
    actions.replaceChildren(...buttons);
    this._paintDialog(module);
    root.showModal();
  }

  _button(text, act) {
    const button = make("button", "", text);
    button.type = "button";
    button.addEventListener("click", act);
    return button;
  }

  async _act(service, device) {
    const { said } = this._dialog;
    setText(said, "…");
    try {
      await this._hass.callService("ridethrough", service, {}, { device_id: device });
      setText(said, this._word("sent"));
    } catch (error) {
      setText(said, error?.message ?? String(error));
    }
  }

  _visit(device) {
    this._dialog.root.close();
    history.pushState(null, "", `/config/devices/device/${encodeURIComponent(device)}`);
    window.dispatchEvent(new CustomEvent("location-changed", { detail: { replace: false } }));
  }

  _paintDialog(module) {
    const { title, icon: place, name, list, wrongs, note } = this._dialog;
    const state = this._stateOf(module);
    setState(title, state);
    setIcon(place, state);
    setText(name, `${this._nameOf(this._stringOf(module))}, ${this._word("block")} ${this._numberOf(module)}: ${this._word(state)}`);
    const lines = METRICS.map((key) => [this._word(key), this._quantity(module[key], COLUMNS[key].unit, COLUMNS[key].digits)]);
    if (known(module.baseline)) lines.push([this._word("baseline"), this._quantity(module.baseline, "mΩ", 2)]);
    lines.push([this._word("number_in_system"), String(module.number)]);
    list.replaceChildren(...lines.flatMap(([word, value]) => [make("dt", "", word), make("dd", "", value)]));
    wrongs.replaceChildren(...this._wrongs(module.conditions).map(([key, severity]) => {
      const item = make("li", "", icon(severity), this._condition(key));
      item.dataset.state = severity;
      return item;
    }));
    setText(note, module.note ?? "");
  }
}

/** Which entities make one think of this card: those that only strings, blocks and battery systems have. */
const OURS = /^(module_(voltage|temperature|impedance|state|charge|equalizing)|string_|battery_(ripple|discharges))/;

/** Suggest this card where somebody looks for one for an entity of a battery system, or null. */
function suggest(hass, entityId) {
  const entity = hass.entities?.[entityId];
  if (entity?.platform !== "ridethrough" || !OURS.test(entity.translation_key ?? "")) return null;
  const device = hass.devices?.[entity.device_id];
  return { config: { type: "custom:ridethrough-battery-card", device_id: device?.parent_device_id ?? entity.device_id } };
}

const TAG = "ridethrough-battery-card";

/** Make the card known, if the page's registry of elements does not know it. */
const register = () => { if (!customElements.get(TAG)) customElements.define(TAG, RidethroughBatteryCard); };

if (!customElements.get(TAG)) {
  register();
  // Home Assistant puts a registry of its own in place of the browser's, sometimes after this file has run.
  customElements.whenDefined("home-assistant").then(register);
  window.customCards = window.customCards ?? [];
  window.customCards.push({
    type: "ridethrough-battery-card",
    name: "Ridethrough: battery system",
    description: WORDS[(navigator.language ?? "en").split("-")[0]]?.description ?? WORDS.en.description,
    preview: true,
    getEntitySuggestion: suggest,
    documentationURL: "https://github.com/ridethrough/ridethrough",
  });
}
