import { overwriting } from "../../../scripts/acceptance/overwriting.ts";
import { actOut } from "./act-out.ts";

actOut(overwriting);
