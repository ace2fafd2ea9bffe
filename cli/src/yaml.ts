/** One value as one YAML document. */
import { stringify } from 'yaml';

/**
 * The same value as `-o json` has, whatever reads it: text that YAML 1.1 takes for something else (`no`, `1e3`, `0x10`: kubectl and PyYAML
 * do) is quoted; nothing is folded, and nothing is an alias.
 */
export const yamlText = (value: unknown): string =>
  stringify(JSON.parse(JSON.stringify(value)), { compat: 'yaml-1.1', lineWidth: 0, aliasDuplicateObjects: false });
