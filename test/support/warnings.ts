import { onTestFinished } from 'vitest';

export interface Warning {
  readonly code: string | undefined;
  readonly message: string;
}

/** What this process warns of from now on, until the test is over, as far as it names `place`. */
export function hearWarnings(place: string): readonly Warning[] {
  const warnings: Warning[] = [];
  const hear = ({ message, code }: Error & { code?: string }) => {
    if (message.includes(place)) warnings.push({ code, message });
  };
  process.on('warning', hear);
  onTestFinished(() => void process.off('warning', hear));
  return warnings;
}
