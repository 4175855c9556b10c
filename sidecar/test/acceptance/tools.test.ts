import { tools } from "../../../scripts/acceptance/tools.ts";
import { actOut } from "./act-out.ts";

actOut(tools);
