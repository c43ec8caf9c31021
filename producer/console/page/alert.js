// Whether a reading meets the deployment's condition. A row does not say what its value is called: a reading without a
// measure of the field's name is judged by its value.
export function alerting(alert, row) {
  const name = alert.field.split(".").at(-1);
  const text = row.measures[alert.field] ?? row.measures[name] ?? row.value;
  if (text === null || text === undefined) return false;
  return alert.when === "above" ? Number(text) > Number(alert.threshold) : Number(text) < Number(alert.threshold);
}

export const shownNumbers = (row) =>
  [...(row.value === null ? [] : [["", row.value]]), ...Object.entries(row.measures)];
