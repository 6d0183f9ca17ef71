/** The places of values with nothing known on either side: no line leads to them, so each is drawn as a point. It may be the
 * only one there is, such as the measurement that condemned a release. */
export function alone(values: ArrayLike<number | null | undefined>): number[] {
  const known = (i: number) => values[i] !== null && values[i] !== undefined;
  return Array.from(values, (_, i) => i).filter((i) => known(i) && !known(i - 1) && !known(i + 1));
}
