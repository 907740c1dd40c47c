// Files for every line of the rules, by title.

const text = (...lines: string[]) => Buffer.from(lines.join('\n'));
const COLUMNS = 'transaction_id,amount,date,description';
const rows = (...lines: string[]) => text(COLUMNS, ...lines, '');

// One row for each value of a column.
const amounts = (...values: string[]) => rows(...values.map((value, row) => `A${row},${value},2024-01-15,`));
const dates = (...values: string[]) => rows(...values.map((value, row) => `D${row},1,${value},`));

const utf16le = (content: string) => Buffer.from(`\u{FEFF}${content}`, 'utf16le');
const utf16be = (content: string) => utf16le(content).swap16();

// The same numbers each time.
function generator(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % below;
  };
}

// Larger than what the browser reads at once, so that rows, characters and quotes cross the boundaries.
function generated(seed: number, count: number, end: string) {
  const random = generator(seed);
  const one = <T>(values: T[]) => values[random(values.length)];
  const lines = [COLUMNS];
  for (let row = 0; row < count; row++) {
    const id = random(20) ? `T${row}` : one(['', `T${random(count)}`, ' T1 ', 'x'.repeat(256)]);
    const amount = random(10) ? `${random(60_000)}.${random(100)}` : one(['', 'ten', '-5', '"1,5,5"', '1e3', '1e99']);
    const date = random(10) ? `2024-0${1 + random(9)}-1${random(10)}` : one(['', '2024-02-30', '20240229', 'May']);
    const note = one(['plain', '"with, comma"', `"two${end}lines"`, '"a ""quoted"" word"', 'Grüße 😀', '=1+1', '']);
    lines.push([id, amount, date, note].join(',') + (random(50) ? '' : one([',more', '"'])));
    if (!random(100)) lines.push('');
  }
  return lines.join(end);
}

export const FILES: [string, Buffer][] = [
  [
    'quotes',
    rows(
      '"A","1","2024-01-15","a ""b"", c"',
      'B,1,2024-01-15,a "b" c',
      '"C"x,1,2024-01-15,"a"b"c"',
      'D,1,2024-01-15,"two\nlines"',
      '""',
    ),
  ],
  [
    'line ends',
    Buffer.from(
      `${COLUMNS}\r\nA,1,2024-01-15,crlf\r\nB,1,2024-01-15,cr\rC,1,2024-01-15,lf\n\r\n\nD,1,2024-01-15,"a\r\nb\rc"`,
    ),
  ],
  [
    'semicolons',
    text('amount;date;transaction_id', '1,5,5;2024-01-15;A', '1.5;2024-01-15;B', ';;', ';', '1;2024-01-15;C;'),
  ],
  ['tabs', text('transaction_id\tamount\tdate', 'A\t1\t2024-01-15', '"B\t"\t1\t2024-01-15')],
  ['bars', text('transaction_id|amount|date|description', 'A|1|2024-01-15|"x|y"')],
  [
    'mark',
    Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), rows('A,1,2024-01-15,\u{FEFF}x', '\u{FEFF}B,1,2024-01-15,')]),
  ],
  ['utf-16 little', utf16le(`${COLUMNS}\r\nA,1,2024-01-15,Grüße 😀\r\nB,x,,\u{D83D}\r\n`)],
  ['utf-16 big', utf16be(`${COLUMNS}\nA,1,2024-01-15,Ωmega\nA,1,2024-01-15,"😀\n"`)],
  ['utf-16 odd', Buffer.concat([utf16le(`${COLUMNS}\nA,1,2024-01-15,x`), Buffer.from([0x41])])],
  [
    'duplicates',
    rows(
      'A,1,2024-01-15,',
      'a,1,2024-01-15,',
      ' A ,1,2024-01-15,',
      '\u{A0}A\t,x,y,',
      'B,x,,',
      'B,1,2024-01-15,',
      'C,1',
      'C,1,2024-01-15,',
      'é,1,2024-01-15,',
      'e\u{301},1,2024-01-15,',
    ),
  ],
  [
    'ids',
    rows(
      ',1,2024-01-15,',
      '  ,1,2024-01-15,',
      `${'x'.repeat(255)},1,2024-01-15,`,
      `${'x'.repeat(256)},1,2024-01-15,`,
      `${'😀'.repeat(255)},1,2024-01-15,`,
      `${'😀'.repeat(256)},1,2024-01-15,`,
    ),
  ],
  [
    'amounts',
    amounts(
      '',
      ' 1 ',
      '+1',
      '-0',
      '.5',
      '5.',
      '.',
      '1e3',
      '1E-3',
      '0e99',
      '0e100',
      '1e-99',
      '1e007',
      '--1',
      '0x1',
      '١',
      'nan',
      '50000',
      '50000.01',
      '-0.01',
      '999999999999999999',
      '1000000000000000000',
      '0.0000000001',
      '0.00000000001',
      '"1,000"',
      '€1',
      '1 000',
    ),
  ],
  [
    'dates',
    dates(
      '',
      ' 2024-01-15 ',
      '2024/01/15',
      '20240115',
      '2024-1-15',
      '2024-01/15',
      '2024-02-29',
      '2023-02-29',
      '0000-01-01',
      '2024-13-01',
      '2024-01-15T10:00',
      '2024-01-15 10:00:00Z',
      '2024-01-15t23:59:59.123456789+14:00',
      '2024-01-15T10:00:00.1234567890',
      '2024-01-15T24:00',
      '2024-01-15T10:00-14:01',
      '2024-01-15+01:00',
      '15.01.2024',
      'today',
    ),
  ],
  ['cells', rows('A,1,2024-01-15', 'B,1,2024-01-15,x,y', 'C', 'D,1,2024-01-15,x,', '   ', ',,,', ',,,,')],
  [
    'bytes',
    Buffer.concat([
      rows('A,1,2024-01-15,ü'),
      Buffer.from(
        'B,1,2024-01-15,caf\xe9\nC\x00,1,2024-01-15,y\nD,1,2024-01-15,\xff\xfe\nE,\xed\xa0\x80,2024-01-15,\n',
        'latin1',
      ),
    ]),
  ],
  ['unclosed quote', rows('A,1,2024-01-15,x', 'B,1,2024-01-15,"never', 'C,1,2024-01-15,closed')],
  [
    'large row',
    rows(
      'A,1,2024-01-15,x',
      `B,1,2024-01-15,${'y'.repeat(1_048_576)}`,
      `C,1,2024-01-15,"${'z\n'.repeat(520_000)}"`,
      'B,1,2024-01-15,',
    ),
  ],
  [
    'formulas',
    text('transaction_id,amount,date,=cmd,,=cmd', '=A,-1,2024-01-15,@x,+1,-a', '-B,+1,2024-01-15,"\tx","\ry",-1'),
  ],
  ['columns', text('date,Transaction ID,"AMOUNT ",timestamp,note,note', '2024-01-15,A,1,never,a,b')],
  ['generated', Buffer.from(generated(1, 60_000, '\n'))],
  ['generated utf-16', utf16le(generated(2, 30_000, '\r\n'))],
];

export const REFUSED: [string, Buffer][] = [
  ['empty', Buffer.alloc(0)],
  ['mark alone', Buffer.from([0xff, 0xfe])],
  ['blank', Buffer.from('\n\n;;\n')],
  ['endless header', Buffer.from(`"${'x'.repeat(1_100_000)}`)],
  ['nul', Buffer.from('transaction_id,amount\x00,date\n')],
  ['missing', Buffer.from('id,value,date\n1,2,3\n')],
  ['repeated', Buffer.from('transaction_id,amount,date,Amount\n')],
  [
    'picture',
    Buffer.from(
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
      'base64',
    ),
  ],
];
