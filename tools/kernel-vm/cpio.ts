// SPDX-License-Identifier: Apache-2.0
// Writes a cpio archive in the "newc" format, the one the kernel unpacks as its first file system
// (Documentation/driver-api/early-userspace/buffer-format.rst).

const MAGIC = '070701';
const FOLDER = 0o040755;
const FILE = 0o100644;
const PROGRAM = 0o100755;

export interface Entry {
  /** Without a leading slash; its folder must come before it. */
  readonly path: string;
  /** None: a folder. */
  readonly content?: Buffer | string;
  readonly executable?: boolean;
}

export function cpio(entries: readonly Entry[]): Buffer {
  const parts = entries.flatMap(({ path, content, executable }, index) =>
    record(path, content === undefined ? FOLDER : executable ? PROGRAM : FILE, index + 1, content ?? ''),
  );
  return Buffer.concat([...parts, ...record('TRAILER!!!', 0, 0, '')]);
}

function record(path: string, mode: number, inode: number, content: Buffer | string): Buffer[] {
  const body = Buffer.from(content as string);
  const name = Buffer.from(`${path}\0`);
  const [user, group, links, time, major, minor, check] = [0, 0, 1, 0, 0, 0, 0];
  const fields = [
    inode,
    mode,
    user,
    group,
    links,
    time,
    body.length,
    major,
    minor,
    major,
    minor,
    name.length,
    check,
  ];
  const header = Buffer.from(MAGIC + fields.map((n) => n.toString(16).padStart(8, '0')).join(''));
  return [padded(Buffer.concat([header, name])), padded(body)];
}

/** To a multiple of four bytes, as the format wants after each name and each file. */
function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
