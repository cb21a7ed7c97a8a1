import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Results } from './results.ts';

/** The plots as SVG, by file name; drawn without a browser. */
export async function drawPlots(results: Results): Promise<Record<string, string>> {
  return { 'latency.svg': await draw(latencyPlot(results)), 'check-time.svg': await draw(checkTimePlot(results)) };
}

async function draw(spec: TopLevelSpec): Promise<string> {
  const view = new View(parse(compile(spec).spec), { renderer: 'none' });
  return `${await view.toSVG()}\n`;
}

const LOOK = {
  background: 'white',
  padding: 16,
  config: {
    font: 'Helvetica, Arial, sans-serif',
    title: {
      anchor: 'start',
      fontSize: 16,
      subtitleFontSize: 12,
      subtitleColor: '#555',
      subtitlePadding: 6,
      offset: 16,
    },
    axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: 'normal', titlePadding: 10, gridColor: '#e6e6e6' },
    legend: {
      labelFontSize: 12,
      labelLimit: 0,
      orient: 'bottom',
      direction: 'vertical',
      title: null,
      symbolStrokeWidth: 3,
    },
    view: { stroke: null },
  },
} as const;

const [OURS, LOOKUP, EXPIRY] = ['#0b6e4f', '#d1495b', '#8d99ae'];

function latencyPlot({ latency: { jwt, lookup, lifetime }, machine, options }: Results): TopLevelSpec {
  const ours = `portcullis: no lookup, known in every process (p50 ${ms(jwt.fromCall.p50)}, p99 ${ms(jwt.fromCall.p99)})`;
  const asked = `a lookup in Redis per request (p50 ${ms(lookup?.fromCall.p50)}, p99 ${ms(lookup?.fromCall.p99)})`;
  const waited = `wait for expiry, tokens of ${lifetime / 60_000} minutes`;
  const points = (way: string, distribution: readonly { share: number; value: number }[]) =>
    distribution.map(({ share, value }) => ({ way, share, ms: Math.max(value, 0.1) }));
  return {
    ...LOOK,
    width: 620,
    height: 300,
    title: {
      text: 'From the revocation to its first refusal in another process',
      subtitle: `${options.processes} processes under full load, ${jwt.fromCall.count} measurements; ${machine.cores} cores, Node ${machine.node}, Redis ${machine.redis}`,
    },
    data: {
      values: [
        ...points(ours, jwt.distribution),
        ...points(asked, lookup?.distribution ?? []),
        ...points(
          waited,
          jwt.distribution.map(({ share }) => ({ share, value: share * lifetime })),
        ),
      ],
    },
    mark: { type: 'line', strokeWidth: 3, interpolate: 'monotone', clip: true },
    encoding: {
      x: {
        field: 'ms',
        type: 'quantitative',
        scale: { type: 'log', domain: [0.1, 1_000_000] },
        axis: {
          title: 'time since the revocation was called (logarithmic)',
          values: [0.1, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
          labelExpr: "datum.value < 1000 ? datum.value + ' ms' : datum.value / 1000 + ' s'",
        },
      },
      y: {
        field: 'share',
        type: 'quantitative',
        axis: { title: 'share of revocations refused by then', format: '.0%' },
      },
      order: { field: 'share' },
      color: color([ours, asked, waited], [OURS, LOOKUP, EXPIRY]),
    },
  };
}

function checkTimePlot({ held, machine }: Results): TopLevelSpec {
  const check = 'portcullis: was this token taken back?';
  const authenticate = 'portcullis: the whole recognition of a token met before';
  const lookup = 'one GET of a denylist key, Redis on the same machine';
  return {
    ...LOOK,
    width: 620,
    height: 300,
    title: {
      text: 'What a check costs, by the number of live revocations',
      subtitle: `one process; ${machine.cores} cores, Node ${machine.node}, Redis ${machine.redis}`,
    },
    data: {
      values: held.flatMap((one) => [
        { entries: one.entries, way: check, ns: one.check },
        { entries: one.entries, way: authenticate, ns: one.authenticate },
        { entries: one.entries, way: lookup, ns: one.lookup },
      ]),
    },
    mark: { type: 'line', strokeWidth: 3, point: { size: 60, filled: true } },
    encoding: {
      x: {
        field: 'entries',
        type: 'quantitative',
        scale: { type: 'log', domain: [1_000, 1_000_000] },
        axis: { title: 'live revocations (logarithmic)', values: [1_000, 10_000, 100_000, 1_000_000], format: ',' },
      },
      y: {
        field: 'ns',
        type: 'quantitative',
        scale: { type: 'log', domain: [10, 1_000_000] },
        axis: {
          title: 'time of one check (logarithmic)',
          values: [10, 100, 1_000, 10_000, 100_000, 1_000_000],
          labelExpr: "datum.value < 1000 ? datum.value + ' ns' : datum.value / 1000 + ' µs'",
        },
      },
      color: color([check, authenticate, lookup], [OURS, '#66a182', LOOKUP]),
    },
  };
}

function color(domain: readonly string[], range: readonly (string | undefined)[]) {
  return { field: 'way', type: 'nominal', scale: { domain: [...domain], range: [...range] as string[] } } as const;
}

function ms(value = Number.NaN): string {
  return `${value.toFixed(1)} ms`;
}
