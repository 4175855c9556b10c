import { tools } from "../../../../scripts/acceptance/tools.ts";
import { actOut } from "../../acceptance/act-out.ts";
import { ContainerStage } from "../container-stage.ts";

actOut(tools, { open: () => ContainerStage.open() });
