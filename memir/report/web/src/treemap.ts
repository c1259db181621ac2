// SPDX-License-Identifier: Apache-2.0
// Where the rectangles of a treemap lie (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000). No element is made here.

export interface Cell { name: string; size: number; kind: string; cells: Cell[] }
export interface Box { x: number; y: number; wide: number; high: number }
export interface Placed { cell: Cell; box: Box; path: string[]; label: boolean }

/** A box for each size, in their order (the largest first gives the squarest), together the whole box. */
export function squarified(sizes: number[], whole: Box): Box[] {
  const total = sizes.reduce((sum, size) => sum + Math.max(size, 0), 0), made: Box[] = [];
  let box = { ...whole };
  const scale = total > 0 ? (box.wide * box.high) / total : 0;
  while (made.length < sizes.length) {
    const side = Math.min(box.wide, box.high), start = made.length;
    if (side <= 0 || scale <= 0) { made.push({ x: box.x, y: box.y, wide: 0, high: 0 }); continue; }
    let end = start, sum = 0, low = Infinity, high = 0, worst = Infinity;
    while (end < sizes.length) {
      const area = Math.max(sizes[end], 0) * scale, next = sum + area, least = Math.min(low, area), most = Math.max(high, area);
      const ratio = least > 0 ? Math.max((side * side * most) / (next * next), (next * next) / (side * side * least)) : Infinity;
      if (end > start && ratio > worst) break;
      [sum, low, high, worst] = [next, least, most, ratio];
      end++;
    }
    const thick = sum / side, beside = box.wide >= box.high;
    let along = 0;
    for (let index = start; index < end; index++) {
      const long = thick > 0 ? (Math.max(sizes[index], 0) * scale) / thick : 0;
      made.push(beside ? { x: box.x, y: box.y + along, wide: thick, high: long } : { x: box.x + along, y: box.y, wide: long, high: thick });
      along += long;
    }
    box = beside ? { x: box.x + thick, y: box.y, wide: Math.max(box.wide - thick, 0), high: box.high }
      : { x: box.x, y: box.y + thick, wide: box.wide, high: Math.max(box.high - thick, 0) };
  }
  return made;
}

export const HEAD = 17; // pixels of a title's line
const LEAST = 5; // pixels: what is smaller is not drawn; its owner's number has it
const ROOM = [0, 0, 56]; // pixels that a rectangle needs before what lies in it is drawn, by depth

/** Every rectangle that is drawn, those around before those in them. */
export function placed(cells: Cell[], box: Box, path: string[] = [], made: Placed[] = []): Placed[] {
  const order = [...cells].filter((cell) => cell.size > 0).sort((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1));
  const boxes = squarified(order.map((cell) => cell.size), box);
  order.forEach((cell, index) => {
    const own = boxes[index], depth = path.length;
    if (own.wide < LEAST || own.high < LEAST) return;
    const label = own.wide > 34 && own.high >= HEAD;
    made.push({ cell, box: own, path: [...path, cell.name], label });
    if (!cell.cells.length || own.wide < ROOM[depth + 1] || own.high < ROOM[depth + 1]) return;
    const top = label && own.high > 2 * HEAD ? HEAD : 2;
    placed(cell.cells, { x: own.x + 2, y: own.y + top, wide: Math.max(own.wide - 4, 0), high: Math.max(own.high - top - 2, 0) }, [...path, cell.name], made);
  });
  return made;
}
