import { changes } from "../../../scripts/acceptance/changes.ts";
import { actOut } from "./act-out.ts";

actOut(changes);
