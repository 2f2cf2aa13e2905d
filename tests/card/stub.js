/** What Home Assistant gives to a card, and a battery system with an old, a hot and a lost block. */

const asked = new URLSearchParams(location.search);
const stub = { calls: [], subscriptions: [], ended: 0, send: null, failing: null };

function noise(seed) {
  const x = Math.sin(seed * 12.9898) * 43758.5453;
  return x - Math.floor(x) - 0.5;
}

function batterySystem(strings, blocks) {
  const modules = [], rows = [];
  for (let string = 1; string <= strings; string++) {
    let sum = 0;
    for (let position = 1; position <= blocks; position++) {
      const number = (string - 1) * blocks + position;
      const voltage = +(13.55 + noise(number) * 0.05).toFixed(3);
      modules.push({
        number, string, position, voltage, impedance: +(4.6 + noise(number + 7) * 0.4).toFixed(2), baseline: 4.5,
        charge: 99, duty: Math.round(12 + noise(number + 3) * 20), temperature: +(23.5 + noise(number + 5) * 1.6).toFixed(1),
        state: "normal", conditions: {}, note: null, stale: [], device: `device-${number}`,
        commands: ["impedance.measure", "module.find", "module.release"],
      });
      sum += voltage;
    }
    rows.push({
      number: string, name: `Strang ${String.fromCharCode(64 + string)}`, voltage: +sum.toFixed(1), average: +(sum / blocks).toFixed(3),
      target: 13.55, charge: 98, current: 0.14, current_ac: 0.08, power: 60, phase: "floating", conditions: {}, stale: [], device: `string-${string}`,
    });
  }
  const change = (number, values) => Object.assign(modules.find((module) => module.number === number) ?? {}, values);
  change(5, { impedance: 7.9, charge: 71, state: "alarm", voltage: 13.93, duty: 96, conditions: { "module.impedance_high": "alarm", "module.charge_low_warning": "warning" }, note: "Befund: Gehäuse gewölbt\nTausch: bestellt 12.11." });
  change(9, { state: "lost", voltage: null, impedance: null, charge: null, duty: null, temperature: null, conditions: { "module.lost": "alarm" } });
  change(blocks + 3, { temperature: 41.2, state: "alarm", conditions: { "module.temperature_high": "alarm" } });
  change(12, { voltage: 13.12, duty: 0, state: "warning", conditions: { "module.voltage_low_warning": "warning" } });
  change(14, { stale: ["temperature"], impedance: null });
  if (strings > 1) Object.assign(rows[1], { conditions: { thermal_runaway: "alarm" } });
  return {
    type: "snapshot", online: true, strings: rows, modules,
    system: {
      name: "USV-Batterie Halle 2", phase: "floating", charge: 98, ripple: 0.021, discharges: 14, type: "AGM 12 V 90 Ah", installed: "2024-03-01",
      nominal: 12, capacity: 90, location: "Halle 2, Raum 014", contact: null, pause: 4980, link: "connected", module_type: "C41", hardware: "1.3",
      firmware: "2.20", impedance_average: 4.61, conditions: { equalizing_paused: "info" }, commands: [], stale: [], device: "system",
      limits: {
        "module.voltage.low.critical": 11.9, "module.voltage.low.warning": 12.9, "module.voltage.high.warning": 14.2, "module.voltage.high.critical": 14.8,
        "module.temperature.low.critical": 5, "module.temperature.low.warning": 10, "module.temperature.high.warning": 32, "module.temperature.high.critical": 36,
        "equalizing.voltage.minimum": 13.2, "equalizing.voltage.maximum": 14.4,
      },
    },
  };
}

customElements.define("ha-card", class extends HTMLElement {
  connectedCallback() { this.style.cssText = "background: var(--card-background-color); border-radius: 12px"; }
});

const NAMES = { module_impedance_high: "Block impedance too high", thermal_runaway: "Thermal runaway", module_lost: "Module lost", module_temperature_high: "Block temperature too high", module_voltage_low_warning: "Block voltage low", module_charge_low_warning: "Block charge low" };
const hass = {
  language: asked.get("lang") ?? "en",
  locale: { language: asked.get("lang") ?? "en", number_format: "language" },
  localize: (key) => NAMES[key.split(".")[4]] ?? "",
  loadBackendTranslation: async () => {},
  callWS: async () => ({ systems: [{ device_id: "system", name: "USV-Batterie Halle 2" }] }),
  callService: async (...call) => { stub.calls.push(call); },
  connection: Object.assign(new EventTarget(), {
    async subscribeMessage(callback, message) {
      stub.subscriptions.push(message);
      if (stub.failing) throw stub.failing;
      stub.send = callback;
      queueMicrotask(() => callback(structuredClone(stub.snapshot)));
      return async () => { stub.ended++; };
    },
  }),
};

function begin() {
  document.documentElement.dataset.theme = asked.get("theme") ?? "light";
  stub.snapshot = batterySystem(Number(asked.get("strings") ?? 4), Number(asked.get("blocks") ?? 32));
  const card = document.createElement("ridethrough-battery-card");
  card.setConfig({ type: "custom:ridethrough-battery-card", device_id: "system", layout: asked.get("layout") ?? "tabs" });
  card.hass = hass;
  document.body.append(card);
  window.card = card;
}
