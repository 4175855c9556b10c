import { logs } from "../../../scripts/acceptance/logs.ts";
import { actOut } from "./act-out.ts";

actOut(logs);
