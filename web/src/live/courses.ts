// The last values of the check that matters most, of each deployment: a row says the newest only.
import {type Schemas} from "../ask/api";

type Row = Schemas["adg.v1.DeploymentSummary"];

const most = 32;

export class Courses {
  private readonly known = new Map<string, {check: string; time: string; values: readonly number[]}>();

  /** Notes the value of a row, if it is a new one. Another check begins anew: then true, for what it said before is known
   * to the server only. */
  note(row: Row): boolean {
    const judgement = row.headline?.judgement;
    if (judgement === undefined) {
      return false;
    }
    const {check, time = "", value} = judgement;
    const was = this.known.get(row.id);
    if (was?.check === check && was.time === time) {
      return false;
    }
    const before = was?.check === check ? was.values : [];
    // No value is a gap in the line.
    this.known.set(row.id, {check, time, values: [...before.slice(1 - most), value ?? NaN]});
    return was !== undefined && was.check !== check;
  }

  /** Puts what was measured earlier in front. */
  recall(row: Row): void {
    const {judgement, recent = []} = row.headline ?? {};
    const was = this.known.get(row.id);
    if (judgement !== undefined && recent.length > 0 && (was === undefined || (was.check === judgement.check && was.values.length < recent.length))) {
      this.known.set(row.id, {check: judgement.check, time: judgement.time ?? "", values: recent.slice(-most)});
    }
  }

  /** The last values, oldest first. */
  of(row: Row): readonly number[] {
    return this.known.get(row.id)?.values ?? row.headline?.recent ?? [];
  }

  /** Forgets all others. */
  keep(rows: ReadonlyMap<string, unknown>): void {
    for (const id of this.known.keys()) {
      if (!rows.has(id)) {
        this.known.delete(id);
      }
    }
  }
}
