// Files that the browser saves as they come, however long they are: it follows a link for that, which has no fields of ours.
import { call, ROOT } from "./api";

/** Asks just before whether it is still the same person who is signed in: the file would be whoever's who is. */
export async function download(path: string): Promise<void> {
  await call("GET", "/session");
  const link = document.createElement("a");
  link.href = ROOT + path;
  link.download = "";
  link.click();
}
