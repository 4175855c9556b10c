import { serving } from "../../../scripts/acceptance/serving.ts";
import { actOut } from "./act-out.ts";

actOut(serving);
