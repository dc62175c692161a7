// Runs a Pine script in PineTS: reads {script, bars, symbol, inputs} as JSON from stdin, writes the plots as JSON to stdout.
import { BaseProvider, Indicator, PineTS } from 'pinets';

let text = '';
for await (const part of process.stdin) text += part;
const { script, bars, symbol, inputs } = JSON.parse(text);

class Given extends BaseProvider {
  constructor() {
    super({ requiresApiKey: false, providerName: 'given' });
  }
  async _getMarketDataNative() {
    return bars.map(([time, open, high, low, close, volume]) => ({
      openTime: time * 1000, closeTime: (time + symbol.clock) * 1000 - 1, open, high, low, close, volume,
      quoteAssetVolume: 0, numberOfTrades: 0, takerBuyBaseAssetVolume: 0, takerBuyQuoteAssetVolume: 0, ignore: 0,
    }));
  }
  async getSymbolInfo() {
    return {
      ticker: 'TEST', tickerid: 'TEST', root: 'TEST', prefix: 'TEST', description: 'test', type: 'crypto', currency: 'USD',
      basecurrency: 'TEST', timezone: 'Etc/UTC', session: '24x7', mintick: symbol.tick, minmove: 1,
      pricescale: Math.round(1 / symbol.tick), pointvalue: 1,
    };
  }
  getSupportedTimeframes() {
    return new Set([symbol.timeframe]);
  }
}

const indicator = new Indicator(script);
for (const [title, value] of Object.entries(inputs)) indicator.input[title] = value;
const context = await new PineTS(new Given(), 'TEST', symbol.timeframe, bars.length).run(indicator);
const plots = {};
for (const [title, plot] of Object.entries(context.plots)) {
  if (title.startsWith('__') && title !== '__tables__') continue;
  if (title === '__tables__') {
    const cells = [];
    for (const table of plot.data.at(-1)?.value ?? []) for (const row of table.cells ?? []) cells.push((row ?? []).map((c) => c?.text ?? ''));
    plots.__table__ = cells;
    continue;
  }
  plots[title] = plot.data.map((d) => (typeof d.value === 'number' && Number.isFinite(d.value) ? d.value : null));
}
process.stdout.write(JSON.stringify(plots));
