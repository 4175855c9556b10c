import { many } from "../../../scripts/acceptance/many.ts";
import { actOut } from "./act-out.ts";

actOut(many);
