/**
 * Completion scripts for shells, made of the commands. They hold every word themselves: a script that asks `evio` at each key starts
 * Node.js each time, which takes a second on a small board. Pure.
 */
import { type OptionAbout, optionsOf } from './command-options.ts';
import type { Command } from './commands/command.ts';

/** `kubectl`: what that asks for words after `kubectl evio`, whatever shell it is used in. */
export const SHELLS = ['bash', 'zsh', 'fish', 'kubectl'] as const;
export type Shell = (typeof SHELLS)[number];

interface Word {
  readonly word: string;
  readonly describe: string;
}

/** What may follow the words of a command line: `path` is '' for `evio`, 'server' for `evio server`, 'server init'. */
interface Place {
  readonly path: string;
  readonly words: readonly Word[];
  readonly options: readonly OptionAbout[];
  /** What may stand as an argument by itself. */
  readonly argument: 'file' | 'nothing' | readonly string[];
}

/** Arguments that are files, by their names. */
const FILES: ReadonlySet<string> = new Set(['file', 'dir', 'old']);

/** Every command has them. */
const COMMON: readonly OptionAbout[] = [
  option('output', ['o'], 'How to print', ['text', 'json', 'yaml']),
  option('help', [], 'Show help', []),
];

function option(name: string, letters: readonly string[], describe: string, choices: readonly string[]): OptionAbout {
  const takes = choices.length === 0 ? 'nothing' : 'choice';
  return { name, letters, describe, positional: false, takes, choices, required: false, default: undefined };
}

function placesOf(commands: readonly Command[], groups: Readonly<Record<string, string>>): readonly Place[] {
  const places = commands.map(placeOf);
  const inGroup = (path: string, group: string): boolean => path.startsWith(`${group} `);
  const grouped = Object.entries(groups).filter(([group]) => places.some(({ path }) => inGroup(path, group)));
  const wordOf = (path: string): string => path.split(' ').at(-1) ?? '';
  const describeOf = new Map(commands.map((one) => [placeOf(one).path, one.describe]));
  const wordsFor = (paths: readonly string[]): readonly Word[] =>
    paths.map((path) => ({ word: wordOf(path), describe: describeOf.get(path) ?? '' }));
  const alone = places.filter(({ path }) => !path.includes(' ')).map(({ path }) => path);
  return [
    {
      path: '',
      words: [...wordsFor(alone), ...grouped.map(([word, describe]) => ({ word, describe }))],
      options: [option('version', [], 'Show version number', [])],
      argument: 'nothing',
    },
    ...grouped.map(([group]): Place => {
      const members = places.filter(({ path }) => inGroup(path, group)).map(({ path }) => path);
      return { path: group, words: wordsFor(members), options: [], argument: 'nothing' };
    }),
    ...places,
  ];
}

function placeOf(command: Command): Place {
  const all = optionsOf(command);
  const argument = all.find(({ positional }) => positional);
  return {
    path: command.path.replace(/ [<[].*$/, ''),
    words: [],
    options: all.filter(({ positional }) => !positional),
    argument:
      argument === undefined
        ? 'nothing'
        : argument.takes === 'choice'
          ? argument.choices
          : FILES.has(argument.name)
            ? 'file'
            : 'nothing',
  };
}

/** The script: to be evaluated, or to lie where the shell looks for completions. */
export function completionScript(
  shell: Shell,
  commands: readonly Command[],
  groups: Readonly<Record<string, string>>,
): string {
  const places = placesOf(commands, groups);
  switch (shell) {
    case 'bash':
      return bash(places);
    case 'zsh':
      return zsh(places);
    case 'fish':
      return fish(places);
    case 'kubectl':
      return kubectl(places);
  }
}

const optionsAt = ({ options }: Place): readonly OptionAbout[] => [...options, ...COMMON];
const flags = ({ name, letters }: OptionAbout): readonly string[] => [
  `--${name}`,
  ...letters.map((letter) => `-${letter}`),
];
/** A word of a shell, whatever is in it. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const quotedFish = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
/** `' server' | 'server init'`: the place so far and the word that leads on. */
const steps = (places: readonly Place[]): readonly string[] =>
  places.flatMap(({ path }) => {
    if (path === '') return [];
    const words = path.split(' ');
    return [quoted(`${words.slice(0, -1).join(' ')} ${words.at(-1)}`)];
  });

/** Lines of a case over "place option": what the option's value may be. */
function valueCases(places: readonly Place[], choice: (words: readonly string[]) => string, file: string): string {
  return places
    .flatMap((place) =>
      optionsAt(place)
        .filter(({ takes }) => takes !== 'nothing')
        .map((about) => {
          const pattern = flags(about)
            .map((flag) => quoted(`${place.path} ${flag}`))
            .join(' | ');
          const does = about.takes === 'choice' ? choice(about.choices) : about.takes === 'text' ? file : 'return';
          return `    ${pattern}) ${does} ;;\n`;
        }),
    )
    .join('');
}

function bash(places: readonly Place[]): string {
  const at = places.map((place) => {
    const { path, words, argument } = place;
    const names = optionsAt(place).flatMap(flags).join(' ');
    const rest = argument === 'file' ? 'files=1' : '';
    const free = [...words.map(({ word }) => word), ...(typeof argument === 'string' ? [] : argument)].join(' ');
    return `    ${quoted(path)}) options=${quoted(names)} words=${quoted(free)} ${rest}`.trimEnd().concat(' ;;\n');
  });
  return `# Completion of evio for bash, made by: evio completion bash
# Use it now: eval "$(evio completion bash)"; for good: evio completion bash > /usr/share/bash-completion/completions/evio
_evio_files() {
  compopt -o default 2>/dev/null || COMPREPLY=($(compgen -f -- "$1"))
}
_evio() {
  local cur prev place= word words= options= files= i
  COMPREPLY=()
  cur=\${COMP_WORDS[COMP_CWORD]}
  prev=\${COMP_WORDS[COMP_CWORD-1]}
  # Readline makes three words of --name=value.
  if [ "$cur" = '=' ]; then cur=
  elif [ "$prev" = '=' ]; then prev=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "$place $word" in
      ${steps(places).join(' | ')}) place="\${place:+$place }$word" ;;
    esac
  done
  case "$place $prev" in
${valueCases(places, (words) => `COMPREPLY=($(compgen -W ${quoted(words.join(' '))} -- "$cur")); return`, '_evio_files "$cur"; return')}  esac
  case "$place" in
${at.join('')}  esac
  case "$cur" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$cur")) ;;
    *) if [ -n "$files" ]; then _evio_files "$cur"; else COMPREPLY=($(compgen -W "$words" -- "$cur")); fi ;;
  esac
}
complete -F _evio evio kubectl-evio
`;
}

/** For _describe: what is before the first colon is the word. */
const described = (word: string, text: string): string => quoted(`${word.replaceAll(':', '\\:')}:${text}`);

function zsh(places: readonly Place[]): string {
  const at = places.map((place) => {
    const { path, words, argument } = place;
    const names = optionsAt(place).flatMap((about) => flags(about).map((flag) => described(flag, about.describe)));
    const free = [
      ...words.map(({ word, describe }) => described(word, describe)),
      ...(typeof argument === 'string' ? [] : argument.map(quoted)),
    ];
    const rest = argument === 'file' ? ' files=1' : '';
    return `    ${quoted(path)}) options=(${names.join(' ')}) names=(${free.join(' ')})${rest} ;;\n`;
  });
  return `#compdef evio kubectl-evio
# Completion of evio for zsh, made by: evio completion zsh
# Use it now: source <(evio completion zsh); for good: put it into a folder of $fpath, as _evio
_evio() {
  local place= word files= prev=\${words[CURRENT-1]} cur=\${words[CURRENT]} i
  local -a options names
  if [[ $cur == --*=* ]]; then
    prev=\${cur%%=*}
    compset -P '*='
  fi
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    case "$place $word" in
      (${steps(places).join(' | ')}) place="\${place:+$place }$word" ;;
    esac
  done
  case "$place $prev" in
${valueCases(places, (words) => `compadd -- ${words.map(quoted).join(' ')}; return`, '_files; return').replace(/^ {4}/gm, '    (')}  esac
  case "$place" in
${at.join('').replace(/^ {4}/gm, '    (')}  esac
  if [[ $cur == -* ]]; then _describe option options
  elif [[ -n $files ]]; then _files
  elif (( \${#names} )); then _describe command names
  fi
}
if [[ \${funcstack[1]} == _evio ]]; then _evio "$@"; else compdef _evio evio kubectl-evio; fi
`;
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap((place) => {
    const when = `-n ${quotedFish(`__evio_at "${place.path}"`)}`;
    const { argument } = place;
    return [
      ...place.words.map(({ word, describe }) => `${when} -a ${quotedFish(word)} -d ${quotedFish(describe)}`),
      ...(typeof argument === 'string' ? [] : [`${when} -a ${quotedFish(argument.join(' '))}`]),
      ...(argument === 'file' ? [`${when} -F`] : []),
      ...optionsAt(place).map((about) => {
        const letters = about.letters.map((letter) => ` -s ${letter}`).join('');
        const value = {
          nothing: '',
          number: ' -x',
          text: ' -r -F',
          choice: ` -x -a ${quotedFish(about.choices.join(' '))}`,
        }[about.takes];
        return `${when} -l ${about.name}${letters}${value} -d ${quotedFish(about.describe)}`;
      }),
    ];
  });
  return `# Completion of evio for fish, made by: evio completion fish
# Use it now: evio completion fish | source; for good: evio completion fish > ~/.config/fish/completions/evio.fish
function __evio_at
  set -l words (commandline -opc)
  set -e words[1]
  set -l place ''
  for word in $words
    switch "$place $word"
      case ${steps(places).join(' ')}
        set place (string trim "$place $word")
    end
  end
  test "$place" = "$argv[1]"
end
complete -c evio -f
${lines.map((line) => `complete -c evio ${line}\n`).join('')}`;
}

/** By https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/ and cobra's directives: 0 has the shell offer files, 4 nothing else. */
function kubectl(places: readonly Place[]): string {
  const offers = (words: readonly Word[]): string =>
    words.map(({ word, describe }) => `offer ${quoted(word)} ${quoted(describe)}`).join('; ');
  const at = places.map((place) => {
    const { path, words, argument } = place;
    const options = optionsAt(place).flatMap((about) =>
      flags(about).map((word) => ({ word, describe: about.describe })),
    );
    const free = [...words, ...(typeof argument === 'string' ? [] : argument.map((word) => ({ word, describe: '' })))];
    const other = argument === 'file' ? 'files=0' : offers(free) || ':';
    return `  ${quoted(path)}) case $cur in -*) ${offers(options)} ;; *) ${other} ;; esac ;;\n`;
  });
  return `#!/bin/sh
# What kubectl offers behind "kubectl evio", made by: evio completion kubectl
# kubectl asks it at each Tab: evio completion kubectl > /usr/local/bin/kubectl_complete-evio, and chmod 755; beside kubectl-evio, in PATH.
place= prev= cur= files=4
offer() {
  case $1 in "$cur"*) printf '%s\t%s\n' "$1" "$2" ;; esac
}
value() {
  for word; do offer "$word" ''; done
  echo :4
  exit
}
# Its arguments are the words, and the one that is being typed.
while [ $# -gt 1 ]; do
  case "$place $1" in
    ${steps(places).join(' | ')}) place="\${place:+$place }$1" ;;
  esac
  prev=$1
  shift
done
cur=\${1-}
case $cur in --*=*) prev=\${cur%%=*} cur=\${cur#*=} ;; esac
case "$place $prev" in
${valueCases(places, (words) => `value ${words.map(quoted).join(' ')}`, 'echo :0; exit').replaceAll(') return ;;', ') value ;;')}esac
case "$place" in
${at.join('')}esac
echo ":$files"
`;
}
